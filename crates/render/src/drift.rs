//! Drift: differences between the cluster and the rendered objects. Pure.
//!
//! An object is as rendered when every rendered field has its value; other fields are the API
//! server's defaults, unless its managed fields say that somebody else wrote them.

use kube::core::DynamicObject;
use serde_json::Value;

/// The first rendered field that differs in the live object, as a JSON pointer.
pub fn first_difference(rendered: &Value, live: &Value) -> Option<String> {
    fn walk(rendered: &Value, live: Option<&Value>, pointer: &mut String) -> bool {
        let at = pointer.len();
        match (rendered, live) {
            (Value::Object(rendered), Some(Value::Object(live))) => {
                for (name, value) in rendered {
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    if walk(value, live.get(name), pointer) {
                        return true;
                    }
                    pointer.truncate(at);
                }
                false
            }
            (Value::Array(rendered), Some(Value::Array(live))) => {
                if rendered.len() != live.len() {
                    return true;
                }
                for (i, value) in rendered.iter().enumerate() {
                    pointer.push('/');
                    pointer.push_str(&i.to_string());
                    if walk(value, live.get(i), pointer) {
                        return true;
                    }
                    pointer.truncate(at);
                }
                false
            }
            // The server leaves empty objects out.
            (Value::Object(rendered), None) if rendered.is_empty() => false,
            (rendered, live) => Some(rendered) != live,
        }
    }
    let mut pointer = String::new();
    walk(rendered, Some(live), &mut pointer).then_some(pointer)
}

/// The managers besides `us` that wrote into the object's content; its status and labels are not
/// content.
pub fn foreign_writers(live: &DynamicObject, us: &str) -> Vec<String> {
    let mut writers: Vec<String> = live
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| entry.manager.as_deref() != Some(us))
        .filter(|entry| entry.subresource.as_deref().is_none_or(|sub| sub != "status"))
        .filter(|entry| {
            let fields = entry.fields_v1.as_ref().and_then(|fields| fields.0.as_object());
            fields.is_some_and(|fields| fields.keys().any(|field| is_content(field)))
        })
        .map(|entry| entry.manager.clone().unwrap_or_else(|| "somebody".to_owned()))
        .collect();
    writers.sort_unstable();
    writers.dedup();
    writers
}

fn is_content(field: &str) -> bool {
    field.starts_with("f:") && !matches!(field, "f:metadata" | "f:status")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_are_no_drift_and_changes_are() {
        let rendered = json!({ "spec": { "replicas": 1, "list": [{ "a": 1 }], "none": {} } });
        for (live, found) in [
            (
                json!({ "spec": { "replicas": 1, "list": [{ "a": 1, "d": 2 }] }, "status": {} }),
                None,
            ),
            (json!({ "spec": { "replicas": 2, "list": [{ "a": 1 }] } }), Some("/spec/replicas")),
            (json!({ "spec": { "list": [{ "a": 1 }] } }), Some("/spec/replicas")),
            (json!({ "spec": { "replicas": 1, "list": [] } }), Some("/spec/list")),
            (json!({ "spec": { "replicas": 1, "list": [{ "a": 2 }] } }), Some("/spec/list/0/a")),
            (json!({}), Some("/spec")),
        ] {
            assert_eq!(first_difference(&rendered, &live).as_deref(), found, "{live}");
        }
    }

    #[test]
    fn who_wrote_into_the_content_is_found() {
        let object = |entries: Value| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": { "name": "workload", "managedFields": entries },
            }))
            .unwrap()
        };
        let entry = |manager: &str, fields: Value| {
            json!({
                "manager": manager, "operation": "Update", "apiVersion": "apps/v1",
                "fieldsType": "FieldsV1", "fieldsV1": fields,
            })
        };
        let live = object(json!([
            entry("us", json!({ "f:spec": {} })),
            entry("kube-controller-manager", json!({ "f:status": {}, "f:metadata": {} })),
            entry("kubectl-edit", json!({ "f:spec": { "f:replicas": {} } })),
            entry("kubectl-edit", json!({ "f:spec": { "f:template": {} } })),
        ]));
        assert_eq!(foreign_writers(&live, "us"), ["kubectl-edit"]);
        assert!(foreign_writers(&object(json!([])), "us").is_empty());
    }
}
