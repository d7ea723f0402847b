"""The official SDK against the ChatGPT web upstream, which is the fake of the test kit."""

import base64
import io
import json
import urllib.request

import openai
import pytest
from conftest import KEY, fake_chatgpt, routes, started

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """Aurora in front of the fake, with its accounts."""
    folder = tmp_path_factory.mktemp("chatgpt")
    with fake_chatgpt(folder) as upstream:
        config = f'[auth]\nkeys = ["{KEY}"]\n{upstream}{routes("chatgpt")}'
        with started(folder / "aurora", config) as aurora:
            yield aurora


@pytest.fixture
def client(web):
    return web.client()


def test_chat(client):
    answer = client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": "Say this is a test!"}]
    )
    assert "Say this is a test!" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_stream(client):
    chunks = list(
        client.chat.completions.create(
            model="auto",
            messages=[{"role": "user", "content": "hello"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "hello" in text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens > 0 and not chunks[-1].choices
    assert len({chunk.id for chunk in chunks}) == 1


def test_tools_streamed_and_whole(client):
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    with client.chat.completions.stream(model="auto", messages=messages, tools=TOOLS) as stream:
        streamed = stream.get_final_completion().choices[0]
    whole = client.chat.completions.create(model="auto", messages=messages, tools=TOOLS).choices[0]
    for choice in (streamed, whole):
        assert choice.finish_reason == "tool_calls"
        call = choice.message.tool_calls[0]
        assert call.function.name == "get_weather"
        assert "city" in json.loads(call.function.arguments)
    messages += [
        {"role": "assistant", "content": None, "tool_calls": [whole.message.tool_calls[0].model_dump()]},
        {"role": "tool", "tool_call_id": whole.message.tool_calls[0].id, "content": "sunny"},
    ]
    answer = client.chat.completions.create(model="auto", messages=messages)
    assert answer.choices[0].message.content


def test_responses(client):
    answer = client.responses.create(model="auto", instructions="Be brief.", input="hello")
    assert "hello" in answer.output_text
    assert answer.status == "completed"


def test_responses_stream_has_the_official_sequence(client):
    with client.responses.stream(model="auto", input="hello") as stream:
        events = [event.type for event in stream]
        final = stream.get_final_response()
    assert events[:2] == ["response.created", "response.in_progress"]
    assert events[-1] == "response.completed"
    assert events.count("response.output_text.delta") > 1
    assert "hello" in final.output_text


def test_files_and_questions_about_them(client):
    file = client.files.create(file=("report.pdf", b"%PDF-1.4 hello", "application/pdf"), purpose="assistants")
    assert file.id.startswith("file") and file.bytes == 14
    assert file.id in [known.id for known in client.files.list()]
    assert client.files.content(file.id).read() == b"%PDF-1.4 hello"
    content = [{"type": "input_file", "file_id": file.id}, {"type": "text", "text": "Sum it up."}]
    answer = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": content}])
    assert "1 attachments" in answer.choices[0].message.content
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_images(client):
    made = client.images.generate(model="gpt-image-2", prompt="a cat", n=2)
    assert [base64.b64decode(picture.b64_json)[:4] for picture in made.data] == [b"\x89PNG"] * 2
    linked = client.images.generate(prompt="a cat", response_format="url")
    with urllib.request.urlopen(linked.data[0].url, timeout=10) as picture:
        assert picture.read(4) == b"\x89PNG"
    png = io.BytesIO(base64.b64decode(made.data[0].b64_json))
    png.name = "cat.png"
    edited = client.images.edit(image=png, prompt="make it blue")
    assert edited.data[0].b64_json


def test_pictures_in_a_chat(client):
    picture = client.images.generate(prompt="a cat").data[0].b64_json
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
    ]
    answer = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": content}])
    assert "1 attachments" in answer.choices[0].message.content


def test_speech(client):
    speech = client.audio.speech.create(model="tts-1", voice="alloy", input="Hello, this is a test!")
    assert b"Hello, this is a test!" in speech.read()
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="nova", input="Hello!", response_format="opus"
    ) as streamed:
        assert streamed.headers["content-type"] == "audio/ogg"
        assert b"maple" in streamed.read()


def test_transcription(client):
    sound = ("a.wav", b"RIFF sound", "audio/wav")
    heard = client.audio.transcriptions.create(model="whisper-1", file=sound, language="en")
    assert "10 bytes" in heard.text
    text = client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="text")
    assert "10 bytes" in text
    assert client.audio.translations.create(model="whisper-1", file=sound).text


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert "auto" in names
    assert client.models.retrieve("auto").id == "auto"


def test_errors_have_their_types(client, web):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="gpt-4-plugins", messages=[{"role": "user", "content": "x"}])
    assert refused.value.code == "model_not_supported" and refused.value.param == "model"
    device = "5d0a1c11-0a01-4b6e-8d6a-0d6a00000003"
    with pytest.raises(openai.PermissionDeniedError) as refused:
        web.client(api_key=f"{KEY} {device}").images.generate(prompt="x")
    assert refused.value.code == "capability_not_available"
