//! `GET /models`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The name to ask for.
    pub id: String,
    /// Always `model`.
    #[serde(default = "object_name")]
    pub object: String,
    /// Seconds since 1970; 0 where the server does not say.
    #[serde(default)]
    pub created: i64,
    /// Who offers it.
    #[serde(default)]
    pub owned_by: String,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

fn object_name() -> String {
    "model".to_owned()
}

impl Model {
    /// A model with the members that every client needs.
    pub fn new(id: impl Into<String>, created: i64, owned_by: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            object: object_name(),
            created,
            owned_by: owned_by.into(),
            rest: Map::new(),
        }
    }
}

/// The list of models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelList {
    /// Always `list`.
    #[serde(default = "list_name")]
    pub object: String,
    /// The models.
    pub data: Vec<Model>,
}

fn list_name() -> String {
    "list".to_owned()
}

impl ModelList {
    /// A list of `data`.
    pub fn new(data: Vec<Model>) -> Self {
        Self {
            object: list_name(),
            data,
        }
    }
}
