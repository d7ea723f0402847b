//! Speech: voices and formats.

/// The service's voices.
const VOICES: [&str; 12] = [
    "cove", "fathom", "vale", "ember", "breeze", "orbit", "maple", "glimmer", "juniper", "arbor",
    "sol", "spruce",
];

/// The service's voice for the one that a client names; its own names are taken too, all else is `cove`.
pub fn voice(requested: Option<&str>) -> &'static str {
    let requested = requested.unwrap_or("").trim().to_lowercase();
    match requested.as_str() {
        "alloy" => "cove",
        "ash" => "fathom",
        "coral" => "vale",
        "echo" => "ember",
        "fable" => "breeze",
        "onyx" => "orbit",
        "nova" => "maple",
        "sage" => "glimmer",
        "shimmer" => "juniper",
        other => VOICES
            .into_iter()
            .find(|voice| *voice == other)
            .unwrap_or("cove"),
    }
}

/// A form of sound that the service gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AudioFormat {
    /// MP3, the default of the official API.
    #[default]
    Mp3,
    /// Opus in Ogg.
    Opus,
    /// AAC; also what comes for flac, wav and pcm, which the service does not have.
    Aac,
}

impl AudioFormat {
    /// The format for a client's `response_format`; `None` for a word that the official API does not know.
    pub fn of(requested: Option<&str>) -> Option<Self> {
        match requested {
            None | Some("" | "mp3") => Some(Self::Mp3),
            Some("opus") => Some(Self::Opus),
            Some("aac" | "flac" | "wav" | "pcm") => Some(Self::Aac),
            Some(_) => None,
        }
    }

    /// The service's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Aac => "aac",
        }
    }

    /// The content type of what comes.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Mp3 => "audio/mpeg",
            Self::Opus => "audio/ogg",
            Self::Aac => "audio/aac",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voices_are_mapped() {
        let official = [
            "alloy", "ash", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer",
        ];

        let mapped = official.map(|name| voice(Some(name)));

        let own = [
            "cove", "fathom", "vale", "ember", "breeze", "orbit", "maple", "glimmer", "juniper",
        ];
        assert_eq!(mapped, own);
        assert_eq!(
            ["Sol", "arbor", "odd"].map(|name| voice(Some(name))),
            ["sol", "arbor", "cove"]
        );
        assert_eq!(voice(None), "cove");
    }

    #[test]
    fn formats_say_what_really_comes() {
        let type_of = |name| AudioFormat::of(name).map(AudioFormat::content_type);

        assert_eq!(type_of(None), Some("audio/mpeg"));
        assert_eq!(type_of(Some("opus")), Some("audio/ogg"));
        assert_eq!(
            ["aac", "flac", "wav", "pcm"].map(|name| type_of(Some(name))),
            [Some("audio/aac"); 4]
        );
        assert_eq!(type_of(Some("midi")), None);
    }
}
