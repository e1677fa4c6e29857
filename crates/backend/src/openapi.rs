//! What the OpenAPI document says of every route alike, added to what each handler says of itself:
//! the forms of path parameters, and the two kinds of errors.

use nodesys_core::api::Problem;
use serde_json::{Map, Value, json};

use crate::limits::{Caller, ROUTES};

const PLAIN: &str = "the document is made of plain values, which always serialise";

/// Each path parameter's form: name, description, example, pattern.
const PARAMETERS: [(&str, &str, &str, &str); 11] = [
    ("account", "A wallet's address.", "0x70997970c51812dc3a010c7d01b50e0d17dc79c8", ADDRESS),
    (
        "collection",
        "An NFT contract's address.",
        "0x5fbdb2315678afecb367f032d93f642f64180aa3",
        ADDRESS,
    ),
    ("day", "A UTC day.", "2026-01-06", r"^\d{4}-\d{2}-\d{2}$"),
    ("file", "A file's name in the bundle.", "uptime.csv", r"^[A-Za-z0-9._-]{1,64}$"),
    ("hash", "keccak256 of the release's canonical JSON.", HASH_EXAMPLE, HASH),
    ("license", "A license's hash.", HASH_EXAMPLE, HASH),
    ("login", "A login's number.", "1", r"^\d{1,20}$"),
    (
        "node_key",
        "The address of a node's key.",
        "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
        ADDRESS,
    ),
    (
        "operator",
        "The address of a wallet that authorised nodes.",
        "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
        ADDRESS,
    ),
    ("pairing", "A pairing's id.", "00112233445566778899aabbccddeeff", "^[0-9a-f]{32}$"),
    ("token_id", "A token's number.", "1", r"^\d{1,78}$"),
];
const ADDRESS: &str = "^0x[0-9a-fA-F]{40}$";
const HASH: &str = "^0x[0-9a-fA-F]{64}$";
const HASH_EXAMPLE: &str = "0x9c22ff5f21f0b81b113e63f7db6da94fedef11b2119b4088b89664fb9a3cb658";

/// A project is named in two ways, so its form is text.
const PROJECT: (&str, &str) = ("A project: its name, or its distributor's address.", "acme");

/// Each tag: name, description.
const TAGS: [(&str, &str); 15] = [
    ("claim", "What accounts have been paid, and may claim."),
    ("commit", "Signed days, and the files they commit to."),
    ("heartbeat", "Sessions and heartbeats of nodes."),
    ("lease", "Which node runs a license."),
    ("license", "Licenses as final blocks have them."),
    ("login", "People who are signed in, from a page of the backend."),
    ("node", "Nodes and their authorisations."),
    ("notify", "Webhooks that are told of outages. The requests are signed by the node's key."),
    ("pairing", "Nodes that wait for an operator, who types a code and signs."),
    ("points", "Points of a day, signed by the project's reward signer."),
    ("project", "The network and its projects, as the registry has them."),
    ("release", "Documents of announced releases."),
    ("root", "Commits with their state on chain."),
    ("tree", "Proofs of rewards."),
    ("uptime", "Minutes of licenses, and closed days."),
];

/// The finished document as pretty JSON.
pub(crate) fn complete(document: utoipa::openapi::OpenApi) -> String {
    let mut document = serde_json::to_value(document).expect(PLAIN);
    document["servers"] = json!([{ "url": "/", "description": "This backend." }]);
    document["tags"] = TAGS
        .iter()
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    // Most requests prove who sent them by signatures in their bodies, which are no scheme to declare.
    document["security"] = json!([]);
    document["components"]["securitySchemes"] = json!({
        "login": {
            "type": "apiKey", "in": "cookie", "name": "__Host-nodesys-login",
            "description": "The cookie of a login. What changes something also needs the backend's own \
                Origin and the header `nodesys-csrf: 1`, as a page of the backend sends them.",
        },
    });
    name_messages(&mut document["components"]["schemas"]);
    document["components"]["responses"] = json!({
        "Refused": problem("The request is refused: `code` says why, and `detail` what to do."),
        "Unavailable": problem("Not answered now, through no fault of the request: send it again later."),
    });
    for operation in operations(&mut document) {
        describe(operation);
    }
    for route in ROUTES.iter().filter(|route| route.caller == Caller::Login) {
        let operation = &mut document["paths"][route.path][route.method.to_lowercase()];
        operation["security"] = json!([{ "login": [] }]);
    }
    let mut text = serde_json::to_string_pretty(&document).expect(PLAIN);
    text.push('\n');
    text
}

fn problem(description: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    let content = json!({ Problem::CONTENT_TYPE: { "schema": schema } });
    json!({ "description": description, "content": content })
}

/// `Signed_X` contains its message inline: each message becomes a schema of its own, `X`.
fn name_messages(schemas: &mut Value) {
    let schemas = schemas.as_object_mut().expect("schemas are an object");
    let mut messages = Map::new();
    for (name, signed) in schemas.iter_mut() {
        if let Some(name) = name.strip_prefix("Signed_") {
            let named = json!({ "$ref": format!("#/components/schemas/{name}") });
            let message = std::mem::replace(&mut signed["properties"]["message"], named);
            messages.insert(name.to_owned(), message);
        }
    }
    schemas.extend(messages);
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut().expect("paths are an object");
    paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut)
}

fn describe(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        if let Some((_, description, example, pattern)) =
            PARAMETERS.iter().find(|(known, ..)| *known == name)
        {
            parameter["schema"]["pattern"] = json!(pattern);
            parameter["example"] = json!(example);
            if parameter["in"] == "path" {
                parameter["description"] = json!(description);
            }
        } else if name == "project" && parameter["in"] == "path" {
            parameter["description"] = json!(PROJECT.0);
            parameter["example"] = json!(PROJECT.1);
        }
    }
    operation["responses"]["4XX"] = json!({ "$ref": "#/components/responses/Refused" });
    operation["responses"]["5XX"] = json!({ "$ref": "#/components/responses/Unavailable" });
    if let Some(bytes) = operation.pointer_mut("/responses/200/content/application~1octet-stream") {
        bytes["schema"] = json!({ "type": "string", "format": "binary" });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    #[test]
    fn the_committed_document_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let fresh = crate::openapi_json();
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == fresh,
            "crates/backend/openapi.json is not fresh: run the test with UPDATE_SNAPSHOTS=1"
        );
    }

    #[test]
    fn every_route_is_named_once_and_described() {
        let mut document: Value = serde_json::from_str(&crate::openapi_json()).unwrap();
        let mut names = BTreeSet::new();
        let tags: BTreeSet<_> = super::TAGS.iter().map(|(tag, _)| *tag).collect();
        for operation in super::operations(&mut document) {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            assert!(operation["summary"].is_string(), "{name} has no summary");
            assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{name}: unknown tag");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{name}: {}", parameter["name"]);
            }
            let answer = &operation["responses"]["200"];
            assert_ne!(answer["description"].as_str().unwrap(), "", "{name}: 200 says nothing");
            assert!(names.insert(name.clone()), "{name} is the name of two routes");
        }
        assert!(names.len() > 25);
    }
}
