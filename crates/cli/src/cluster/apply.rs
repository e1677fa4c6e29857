//! Server-side apply of rendered objects, and what it changed.

use std::fmt;

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use nodesys_render::Object;
use nodesys_render::drift::first_difference;
use serde::Serialize;
use serde_json::Value;

use super::{FIELD_MANAGER, words_of};

/// What applying an object did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// It was as it should be.
    Same,
    /// It was not there.
    Made,
    /// It was otherwise; where, as a JSON pointer.
    Changed(String),
}

/// An object, and what applying it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its kind and name.
    pub object: String,
    /// What was done.
    pub done: Applied,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("unchanged"),
            Self::Made => f.write_str("made"),
            Self::Changed(at) => write!(f, "changed at {at}"),
        }
    }
}

/// The API of an object.
pub fn api_of(client: &kube::Client, object: &Object) -> Api<DynamicObject> {
    let (client, resource) = (client.clone(), object.resource());
    match object.namespace() {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

/// Makes the cluster have the object as rendered. What is as it should be is not written.
pub async fn apply(client: &kube::Client, object: &Object) -> anyhow::Result<Change> {
    let cannot = || format!("{object} cannot be applied");
    let api = api_of(client, object);
    let live = api.get_opt(object.name()).await.map_err(|error| words_of(cannot(), error))?;
    let ours = PatchParams::apply(FIELD_MANAGER).force();
    if let Some(live) = &live {
        // Asked first, since an apply that changes nothing still writes in old clusters; and asked
        // of the server, which alone knows which fields we no longer have.
        let patch = Patch::Apply(object.manifest());
        let tried = api.patch(object.name(), &ours.clone().dry_run(), &patch).await;
        let tried = tried.map_err(|error| words_of(cannot(), error))?;
        if content(live) == content(&tried) {
            return Ok(Change { object: object.to_string(), done: Applied::Same });
        }
    }
    let applied = api.patch(object.name(), &ours, &Patch::Apply(object.manifest())).await;
    let applied = applied.map_err(|error| words_of(cannot(), error))?;
    let done = match live {
        None => Applied::Made,
        Some(live) => {
            let (before, after) = (content(&live), content(&applied));
            Applied::Changed(first_difference(&after, &before).unwrap_or_else(|| "/".to_owned()))
        }
    };
    Ok(Change { object: object.to_string(), done })
}

/// An object without what the server keeps books in.
fn content(object: &DynamicObject) -> Value {
    // An object that came from JSON goes back into it.
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = value["metadata"].as_object_mut() {
        for books in ["managedFields", "resourceVersion", "generation"] {
            metadata.remove(books);
        }
    }
    value
}
