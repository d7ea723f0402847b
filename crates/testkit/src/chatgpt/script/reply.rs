//! One answer and its knobs.

use bytes::Bytes;

use super::super::answer::Plain;
use super::super::pace::Pace;
use super::super::{refusal, transcripts};

/// In which form a built answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Every frame repeats the message.
    Snapshot,
    /// Operations on a document.
    Delta,
}

/// What a built answer says.
#[derive(Debug, Clone, Default)]
pub(in super::super) enum Plan {
    /// Names what was asked.
    #[default]
    Echo,
    Text(String),
    Pictures(Pictures),
    /// The picture tool refuses for so long.
    Quota(String),
}

/// Pictures that are made.
#[derive(Debug, Clone)]
pub(in super::super) struct Pictures {
    pub(in super::super) count: usize,
    pub(in super::super) has_preview: bool,
    /// Each is a revision of the one before.
    pub(in super::super) is_revised: bool,
    pub(in super::super) caption: String,
    /// They come later: after so many looks.
    pub(in super::super) polls: Option<usize>,
    /// They come over the websocket.
    pub(in super::super) is_pushed: bool,
    /// In the end there is none, but this text.
    pub(in super::super) refused: Option<String>,
}

impl Default for Pictures {
    fn default() -> Self {
        Self {
            count: 1,
            has_preview: false,
            is_revised: false,
            caption: String::new(),
            polls: None,
            is_pushed: false,
            refused: None,
        }
    }
}

/// How the rest of a handed-off answer can be had.
#[derive(Debug, Clone)]
pub(in super::super) struct HandoffWay {
    /// The status of `resume`; 200 gives the stream.
    pub(in super::super) resume: u16,
    /// `resume` ends early.
    pub(in super::super) resume_bytes: Option<usize>,
    pub(in super::super) has_topic: bool,
    /// So many looks show the answer unfinished; `usize::MAX` never shows it.
    pub(in super::super) polls: usize,
    /// What is said before the handoff.
    pub(in super::super) partial: String,
}

/// An answer that is put together for its turn.
#[derive(Debug, Clone)]
pub(in super::super) struct Built {
    pub(in super::super) plan: Plan,
    pub(in super::super) form: Option<Form>,
    pub(in super::super) pieces: Option<usize>,
    pub(in super::super) thoughts: Option<String>,
    pub(in super::super) finish: String,
    pub(in super::super) model: Option<String>,
    pub(in super::super) title: Option<String>,
    pub(in super::super) handoff: Option<HandoffWay>,
}

impl Default for Built {
    fn default() -> Self {
        Self {
            plan: Plan::Echo,
            form: None,
            pieces: None,
            thoughts: None,
            finish: "stop".to_owned(),
            model: None,
            title: None,
            handoff: None,
        }
    }
}

#[derive(Debug, Clone)]
pub(in super::super) enum Act {
    Built(Box<Built>),
    /// Bytes as they are; what `resume` gives after them.
    Bytes {
        bytes: Bytes,
        rest: Option<Bytes>,
        is_verbatim: bool,
    },
    Plain(Plain),
}

/// An answer of the conversation endpoint.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(in super::super) act: Act,
    pub(in super::super) pace: Pace,
    pub(in super::super) headers: Vec<(String, String)>,
}

impl Default for Reply {
    fn default() -> Self {
        Self::plan(Plan::Echo)
    }
}

/// What it says.
impl Reply {
    fn new(act: Act) -> Self {
        Self {
            act,
            pace: Pace::default(),
            headers: Vec::new(),
        }
    }

    fn plan(plan: Plan) -> Self {
        Self::new(Act::Built(Box::new(Built {
            plan,
            ..Built::default()
        })))
    }

    /// An answer of one message.
    pub fn text(text: impl Into<String>) -> Self {
        Self::plan(Plan::Text(text.into()))
    }

    /// A shipped transcript, by its name (`02_delta_basic`) or number (`02`). Its conversation and turn get the ids of
    /// this turn, which are as long; see [`Self::verbatim`].
    ///
    /// # Panics
    /// Where there is none of that name.
    pub fn transcript(name: &str) -> Self {
        let find = |name: &str| transcripts::find(name).map(Bytes::from_static);
        let bytes = find(name).expect("there is a transcript of that name");
        let rest = name.starts_with("18_").then(|| find("18b")).flatten();
        let rest = rest.or_else(|| (name == "18").then(|| find("18b")).flatten());
        Self::new(Act::Bytes {
            bytes,
            rest,
            is_verbatim: false,
        })
    }

    /// These bytes. The conversation is known under the id that they name.
    pub fn sse(bytes: impl Into<Bytes>) -> Self {
        Self::new(Act::Bytes {
            bytes: bytes.into(),
            rest: None,
            is_verbatim: true,
        })
    }

    /// Any answer in place of a stream; an empty `content_type` is left out.
    pub fn status(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(Act::Plain(Plain::new(status, content_type, body)))
    }

    /// One of the service's known refusals, such as `model_cap`; [`Self::refusals`] lists them.
    ///
    /// # Panics
    /// Where there is none of that name.
    pub fn refusal(name: &str) -> Self {
        Self::new(Act::Plain(
            refusal::find(name).expect("there is a refusal of that name"),
        ))
    }

    /// The names that [`Self::refusal`] takes.
    pub fn refusals() -> Vec<&'static str> {
        refusal::names()
    }

    /// One picture, in the stream.
    pub fn image() -> Self {
        Self::plan(Plan::Pictures(Pictures::default()))
    }

    /// One picture that is in the conversation after `polls` looks that do not show it.
    pub fn async_image(polls: usize) -> Self {
        Self::plan(Plan::Pictures(Pictures {
            polls: Some(polls),
            ..Pictures::default()
        }))
    }

    /// The same, but in the end there is only this text.
    pub fn async_image_refusal(polls: usize, text: &str) -> Self {
        Self::plan(Plan::Pictures(Pictures {
            polls: Some(polls),
            refused: Some(text.to_owned()),
            ..Pictures::default()
        }))
    }

    /// A text where a picture was asked for.
    pub fn image_refusal(text: &str) -> Self {
        Self::text(text)
    }

    /// The account may make no picture for a time such as `14 minutes`.
    pub fn image_quota(time: &str) -> Self {
        Self::plan(Plan::Quota(time.to_owned()))
    }

    /// An answer that is handed off: to be had by `resume`, over the websocket, or in the conversation after one look.
    pub fn handoff(text: impl Into<String>) -> Self {
        Self::text(text).build(|built| {
            built.handoff = Some(HandoffWay {
                resume: 200,
                resume_bytes: None,
                has_topic: true,
                polls: 1,
                partial: String::new(),
            });
        })
    }
}
