"""The official OpenAI SDK passes through Aurora unmodified."""

import base64
import io
import json
import wave

import openai
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

MODEL = "mock-chat"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


def ask(text):
    return [{"role": "user", "content": text}]


def tone():
    """A second of silence as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(bytes(32000))
    return file.getvalue()


def test_chat(client):
    answer = client.chat.completions.create(model=MODEL, messages=ask("hello aurora"))
    assert "hello aurora" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_stream(client):
    stream = client.chat.completions.create(
        model=MODEL, messages=ask("one two three"), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert "one two three" in text
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens > 0
    assert len({c.id for c in chunks}) == 1


def test_chat_tools_and_their_answer(client):
    messages = ask("what is the weather in Oslo?")
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    call = first.choices[0].message.tool_calls[0]
    assert first.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)

    messages += [
        first.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"},
    ]
    second = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    assert "sunny, 21 degrees" in second.choices[0].message.content


def test_chat_tools_streamed(client):
    with client.chat.completions.stream(
        model=MODEL, messages=ask("the weather, please"), tools=[WEATHER]
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    json.loads(call.function.arguments)


def test_chat_json_schema(client):
    schema = {
        "name": "person",
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name", "age"],
        },
    }
    answer = client.chat.completions.create(
        model=MODEL, messages=ask("a person"), response_format={"type": "json_schema", "json_schema": schema}
    )
    assert set(json.loads(answer.choices[0].message.content)) == {"name", "age"}


def test_responses(client):
    answer = client.responses.create(model=MODEL, instructions="be brief", input="hello aurora")
    assert answer.status == "completed"
    assert "hello aurora" in answer.output_text
    assert answer.usage.total_tokens > 0


def test_responses_stream_has_the_official_sequence(client):
    events = list(client.responses.create(model=MODEL, input="one two three", stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    for kind in [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ]:
        assert kind in kinds
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text and "one two three" in text
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event.model_dump(by_alias=True))


def test_responses_function_call_both_ways(client):
    tool = {"type": "function", "strict": False} | WEATHER["function"]
    first = client.responses.create(model=MODEL, input="the weather in Oslo", tools=[tool])
    call = next(item for item in first.output if item.type == "function_call")
    assert call.name == "get_weather" and "city" in json.loads(call.arguments)

    second = client.responses.create(
        model=MODEL,
        tools=[tool],
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}],
    )
    assert "rain" in second.output_text


def test_responses_are_stored_and_deleted(client):
    answer = client.responses.create(model=MODEL, input="remember this")
    again = client.responses.retrieve(answer.id)
    assert again.output_text == answer.output_text
    items = client.responses.input_items.list(answer.id)
    assert items.data[0].content[0].text == "remember this"
    client.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


def test_responses_that_run_out_of_tokens_are_incomplete(client):
    answer = client.responses.create(model=MODEL, input="a b c d e f g h", max_output_tokens=16)
    assert answer.status in ("completed", "incomplete")
    answer = client.responses.create(model=MODEL, input="word " * 60, max_output_tokens=16)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"


def test_models(client):
    ids = [model.id for model in client.models.list()]
    assert MODEL in ids
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_aliases_are_models(proxied):
    client = proxied.client()
    assert "fast" in [model.id for model in client.models.list()]
    answer = client.chat.completions.create(model="fast", messages=ask("hi"))
    assert "mock-chat" in answer.choices[0].message.content


def test_files(client):
    content = bytes(range(256)) * 1000
    file = client.files.create(file=("data.bin", content), purpose="user_data")
    assert file.bytes == len(content) and file.filename == "data.bin"
    assert file.id in [listed.id for listed in client.files.list()]
    assert client.files.retrieve(file.id).id == file.id
    assert client.files.content(file.id).read() == content
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_images(client):
    answer = client.images.generate(model="mock-image", prompt="a fox", size="256x256", n=2)
    pictures = [base64.b64decode(item.b64_json) for item in answer.data]
    assert len(pictures) == 2 and all(p.startswith(b"\x89PNG\r\n\x1a\n") for p in pictures)
    edited = client.images.edit(model="mock-image", image=("a.png", pictures[0]), prompt="blue")
    assert base64.b64decode(edited.data[0].b64_json).startswith(b"\x89PNG")
    varied = client.images.create_variation(model="mock-image", image=("a.png", pictures[0]))
    assert varied.data


def test_images_streamed(client):
    stream = client.images.generate(
        model="mock-image", prompt="a fox", size="256x256", stream=True, partial_images=2
    )
    kinds = [event.type for event in stream]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


@pytest.mark.parametrize(
    ("kind", "magic"),
    [("wav", b"RIFF"), ("mp3", b"\xff"), ("flac", b"fLaC"), ("opus", b"OggS"), ("aac", b"\xff")],
)
def test_speech(client, kind, magic):
    answer = client.audio.speech.create(model="mock-tts", voice="alloy", input="Hello", response_format=kind)
    assert answer.read().startswith(magic)


def test_transcription_and_translation(client):
    file = ("tone.wav", tone())
    answer = client.audio.transcriptions.create(model="mock-transcribe", file=file)
    assert "tone.wav" in answer.text
    text = client.audio.transcriptions.create(model="mock-transcribe", file=file, response_format="text")
    assert "tone.wav" in str(text)
    verbose = client.audio.transcriptions.create(
        model="mock-transcribe", file=file, response_format="verbose_json"
    )
    assert verbose.duration == pytest.approx(1.0)
    assert client.audio.translations.create(model="mock-transcribe", file=file).text


def test_transcription_streamed(client):
    stream = client.audio.transcriptions.create(
        model="mock-transcribe", file=("tone.wav", tone()), stream=True
    )
    assert [event.type for event in stream][-1] == "transcript.text.done"


def test_embeddings(client):
    answer = client.embeddings.create(model="mock-embedding", input=["a cat", "a dog"], dimensions=64)
    assert [len(item.embedding) for item in answer.data] == [64, 64]
    again = client.embeddings.create(model="mock-embedding", input="a cat", dimensions=64)
    assert again.data[0].embedding == pytest.approx(answer.data[0].embedding)


def test_moderations_by_passthrough(client):
    assert client.moderations.create(model="mock-moderation", input="hello").results
