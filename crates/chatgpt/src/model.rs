//! Models and effort: the client's words and the service's.

use serde_json::Value;

/// Models to list when the service's own list is not at hand; the service changes them without notice.
pub const FALLBACK_MODELS: [&str; 14] = [
    "auto",
    "gpt-5-6",
    "gpt-5-6-t-mini",
    "gpt-5-6-thinking",
    "gpt-5-6-pro",
    "gpt-5-5-instant",
    "gpt-5-5-thinking",
    "gpt-5-5-pro",
    "gpt-5",
    "gpt-4o",
    "gpt-4o-mini",
    "o3",
    "o4-mini",
    "o4-mini-high",
];

/// What to ask the service for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The service's name of the model.
    pub slug: String,
    /// `system_hints` that go with it.
    pub hints: Vec<&'static str>,
    /// The custom GPT, where the name asks for one.
    pub gizmo_id: Option<String>,
}

impl Model {
    /// The model for a chat or responses request.
    ///
    /// Nothing and `auto` leave the choice to the service; the two thinking variants of 5.6 are `auto` with the hint
    /// `reason`; a name that ends in `g-...` (such as `gpt-4-gizmo-g-XXXX`) is a custom GPT; all else is passed on.
    pub fn of(requested: &str) -> Self {
        let requested = requested.trim();
        let (slug, hints) = match requested {
            "" | "auto" => ("auto", Vec::new()),
            "gpt-5-6-t-mini" | "gpt-5-6-thinking" => ("auto", vec!["reason"]),
            _ => (requested, Vec::new()),
        };
        let gizmo_id = requested
            .strip_prefix("gpt-4-gizmo-")
            .or(Some(requested))
            .filter(|name| name.starts_with("g-") && name.len() > 2);
        Self {
            slug: if gizmo_id.is_some() { "auto" } else { slug }.to_owned(),
            hints,
            gizmo_id: gizmo_id.map(str::to_owned),
        }
    }

    /// The model for a picture: the usual names of picture models leave the choice to the service.
    pub fn for_images(requested: &str) -> Self {
        let is_image_model = ["dall-e", "gpt-image"]
            .iter()
            .any(|name| requested.starts_with(name));
        let chosen = if is_image_model {
            Self::of("")
        } else {
            Self::of(requested)
        };
        Self {
            hints: vec!["picture_v2"],
            ..chosen
        }
    }
}

/// How long the model thinks (`thinking_effort`); the service refuses other words with 422.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Effort {
    /// The usual.
    #[default]
    Standard,
    /// More; a handoff is likely.
    Extended,
    /// Most; a handoff is likely.
    Max,
}

impl Effort {
    /// The effort for a client's `reasoning_effort`; what is unknown is the usual.
    pub fn of(requested: Option<&str>) -> Self {
        match requested {
            Some("medium" | "extended") => Self::Extended,
            Some("high" | "xhigh" | "max") => Self::Max,
            _ => Self::Standard,
        }
    }

    /// The service's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Extended => "extended",
            Self::Max => "max",
        }
    }
}

/// The models in an answer of `GET /models`, in its order, each once.
pub fn listed(answer: &Value) -> Vec<String> {
    let models = answer.get("models").and_then(Value::as_array);
    let mut slugs: Vec<String> = Vec::new();
    for model in models.map(Vec::as_slice).unwrap_or_default() {
        let slug = model.get("slug").and_then(Value::as_str).unwrap_or("");
        if !slug.is_empty() && !slugs.iter().any(|known| known == slug) {
            slugs.push(slug.to_owned());
        }
    }
    slugs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requested_models_are_mapped() {
        let table = [
            ("", "auto", vec![], None),
            ("auto", "auto", vec![], None),
            ("gpt-5-6-thinking", "auto", vec!["reason"], None),
            ("gpt-5-6-t-mini", "auto", vec!["reason"], None),
            ("gpt-4o", "gpt-4o", vec![], None),
            ("gpt-4-gizmo-g-abc", "auto", vec![], Some("g-abc")),
            ("g-abc", "auto", vec![], Some("g-abc")),
        ];

        for (requested, slug, hints, gizmo) in table {
            let model = Model::of(requested);
            assert_eq!(
                (model.slug.as_str(), model.hints),
                (slug, hints),
                "{requested}"
            );
            assert_eq!(model.gizmo_id.as_deref(), gizmo, "{requested}");
        }
        for (requested, slug) in [
            ("", "auto"),
            ("dall-e-3", "auto"),
            ("gpt-image-2", "auto"),
            ("gpt-5", "gpt-5"),
        ] {
            let model = Model::for_images(requested);
            assert_eq!(
                (model.slug.as_str(), model.hints),
                (slug, vec!["picture_v2"])
            );
        }
    }

    #[test]
    fn efforts_are_mapped() {
        let of = |word| Effort::of(Some(word)).as_str();

        assert_eq!(
            ["none", "minimal", "low", "standard", "odd"].map(of),
            ["standard"; 5]
        );
        assert_eq!(["medium", "extended"].map(of), ["extended"; 2]);
        assert_eq!(["high", "xhigh", "max"].map(of), ["max"; 3]);
        assert_eq!(Effort::of(None), Effort::Standard);
    }

    #[test]
    fn the_services_list_is_read() {
        let answer = json!({"models": [{"slug": "auto"}, {"slug": ""}, 7, {"slug": "o3"}, {"slug": "auto"}]});

        assert_eq!(listed(&answer), ["auto", "o3"]);
        assert!(listed(&json!({})).is_empty());
    }
}
