//! The release's JSON Schema, made from the same limits as the parser, for editors and other
//! languages. It says what one field may be; what fields must keep between them only
//! [`super::Release::parse`] says.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::document::{FORMAT, NODE_ENV, defaults};
use super::parse::{
    CPU_MILLIS, DEADLINE_SECS, EGRESS_PORTS, ENV_PATTERN, GATE_SECS, HEALTH_BY, KINDS,
    MAX_CONTAINERS, MAX_ENV, MAX_NAME_BYTES, MAX_PORTS, MAX_PROBE_PATH_BYTES, MAX_VOLUMES,
    MAX_WORD_BYTES, MAX_WORDS, MEMORY_MIB, PERIOD_SECS, PORTS, PROTOCOLS, STAGGER_SECS,
    START_GRACE_SECS, STORAGE_MIB, STRATEGIES, USER_IDS,
};
use super::values::{IMAGE_PATTERN, LABEL_PATTERN, PATH_PATTERN, TOKEN_DIR};

/// The schema ([JSON Schema 2020-12](https://json-schema.org/draft/2020-12)), as committed in
/// `schema/release.schema.json`.
///
/// # Examples
///
/// ```
/// let schema = nodesys_core::release::json_schema();
/// assert_eq!(schema["properties"]["format"]["const"], "nodesys.release.v1");
/// assert_eq!(schema["additionalProperties"], false, "an unknown field is refused");
/// ```
pub fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Node System release",
        "description": "One version of a workload: what it runs, and what it may use.",
        "type": "object",
        "additionalProperties": false,
        "required": ["format", "name", "workload", "version", "containers", "health", "update"],
        "properties": {
            "format": { "const": FORMAT },
            "name": text(
                "What people call it: one line.", MAX_NAME_BYTES, r"^\S([^\n\t\p{Cc}]*\S)?$"),
            "workload": text(
                "The workload's name in the project.", 32, "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"),
            "version": text(
                "As announced on chain: a whole number, as text.", 20, "^[1-9][0-9]*$"),
            "user_id": number(
                "User and group of its processes.", &USER_IDS, Some(defaults::USER_ID)),
            "containers": {
                "type": "array", "minItems": 1, "maxItems": MAX_CONTAINERS, "items": container(),
            },
            "volumes": { "type": "array", "maxItems": MAX_VOLUMES, "items": volume() },
            "egress": egress(),
            "health": {
                "description": "How the node learns that the workload is fit.",
                "type": "object",
                "additionalProperties": false,
                "required": ["by"],
                "properties": {
                    "by": words("token: it posts its health. readiness: its readiness probes.",
                        &HEALTH_BY),
                    "start_grace_secs": number("How long after its start silence is no fault.",
                        &START_GRACE_SECS, Some(defaults::START_GRACE_SECS)),
                },
            },
            "update": update(),
        },
    })
}

fn container() -> Value {
    let word = json!({ "type": "string", "maxLength": MAX_WORD_BYTES });
    let list = |what: &str| json!({ "description": what, "type": "array", "maxItems": MAX_WORDS, "items": word });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "image", "resources"],
        "properties": {
            "name": label("Its name in the pod."),
            "image": text(
                "Pinned by digest: registry/repository@sha256:<64 hex digits>.",
                255, IMAGE_PATTERN),
            "command": list("Instead of the image's entry point."),
            "args": list("Instead of the image's arguments."),
            "env": {
                "description": "Environment variables besides the node's own.",
                "type": "object",
                "maxProperties": MAX_ENV,
                "propertyNames": {
                    "pattern": ENV_PATTERN,
                    "not": { "enum": NODE_ENV },
                },
                "additionalProperties": word,
            },
            "ports": {
                "type": "array",
                "maxItems": MAX_PORTS,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name", "port"],
                    "properties": {
                        "name": label("Its name."),
                        "port": number("Its number.", &PORTS, None),
                        "protocol": words("tcp unless said otherwise.", &PROTOCOLS),
                    },
                },
            },
            "resources": {
                "type": "object",
                "additionalProperties": false,
                "required": ["requests", "limits"],
                "properties": {
                    "requests": amounts("Set aside for it."),
                    "limits": amounts("The most it gets."),
                },
            },
            "mounts": { "type": "array", "maxItems": MAX_VOLUMES, "items": mount() },
            "readiness": {
                "description": "How the kubelet learns that it is ready.",
                "type": "object",
                "additionalProperties": false,
                "required": ["port"],
                "properties": {
                    "port": label("One of its TCP ports."),
                    "path": text(
                        "An HTTP path that must answer 200 to 399; else a connection is enough.",
                        MAX_PROBE_PATH_BYTES, "^/[!-~]*$"),
                    "period_secs": number("Seconds between two probes.",
                        &PERIOD_SECS, Some(defaults::PERIOD_SECS)),
                },
            },
        },
    })
}

fn amounts(what: &str) -> Value {
    json!({
        "description": what,
        "type": "object",
        "additionalProperties": false,
        "required": ["cpu_millis", "memory_mib", "storage_mib"],
        "properties": {
            "cpu_millis": number("Thousandths of a CPU.", &CPU_MILLIS, None),
            "memory_mib": number("Memory.", &MEMORY_MIB, None),
            "storage_mib": number("Disk: logs and ephemeral volumes.", &STORAGE_MIB, None),
        },
    })
}

fn mount() -> Value {
    let mut path = text("Where.", 255, PATH_PATTERN);
    path["not"] = json!({
        "pattern": format!("^(/proc|/sys|/dev|{TOKEN_DIR}|/run/secrets|/var/run)(/|$)"),
    });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["volume", "path"],
        "properties": {
            "volume": label("One of the volumes."),
            "path": path,
            "read_only": { "type": "boolean", "default": false },
        },
    })
}

fn volume() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "kind", "size_mib"],
        "properties": {
            "name": label("Its name."),
            "kind": words(
                "ephemeral: as long as the pod. persistent: over updates and restarts.", &KINDS),
            "size_mib": number("Its size.", &STORAGE_MIB, None),
        },
    })
}

fn egress() -> Value {
    json!({
        "description": "What pods may reach besides the manager and DNS; left out: nothing.",
        "type": "object",
        "additionalProperties": false,
        "required": ["internet"],
        "properties": {
            "internet": {
                "description": "Public addresses; private ones are never reached.",
                "type": "boolean",
            },
            "ports": {
                "description": "Only these; left out: all.",
                "type": "array",
                "maxItems": MAX_PORTS,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["port"],
                    "properties": {
                        "port": number("Its number.", &EGRESS_PORTS, None),
                        "protocol": words("tcp unless said otherwise.", &PROTOCOLS),
                    },
                },
            },
        },
    })
}

fn update() -> Value {
    json!({
        "description": "How it replaces the version before.",
        "type": "object",
        "additionalProperties": false,
        "required": ["strategy"],
        "properties": {
            "strategy": words(
                "surge: the new pod starts first. recreate: the old pod goes first; needed with \
                 persistent volumes.", &STRATEGIES),
            "gate_secs": number("How long it must be healthy in a row before it counts as good.",
                &GATE_SECS, Some(defaults::GATE_SECS)),
            "deadline_secs": number("How long that may take; then the node goes back.",
                &DEADLINE_SECS, Some(defaults::DEADLINE_SECS)),
            "stagger_secs": number("Nodes begin spread over this time.", &STAGGER_SECS, Some(0)),
        },
    })
}

fn label(what: &str) -> Value {
    let mut label = text(what, 15, LABEL_PATTERN);
    // Not in the pattern, since a look-ahead is not known to every implementation.
    label["not"] = json!({ "pattern": "--" });
    label
}

fn text(what: &str, most: usize, pattern: &str) -> Value {
    json!({ "description": what, "type": "string", "maxLength": most, "pattern": pattern })
}

fn number(what: &str, range: &RangeInclusive<u32>, default: Option<u32>) -> Value {
    let mut number = json!({
        "description": what, "type": "integer", "minimum": range.start(), "maximum": range.end(),
    });
    if let Some(default) = default {
        number["default"] = default.into();
    }
    number
}

fn words<T>(what: &str, words: &[(&str, T)]) -> Value {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    json!({ "description": what, "enum": words })
}
