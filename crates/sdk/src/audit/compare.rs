//! Comparing files that are one line of JSON.

use nodesys_core::files::Difference;
use serde_json::Value;

use super::report::line;

/// The first value in which two JSON files differ: its place is a JSON pointer.
pub(super) fn json_difference(file: &str, given: &[u8], computed: &[u8]) -> Option<Difference> {
    if given == computed {
        return None;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (Ok(a), Ok(b)) = (serde_json::from_slice(given), serde_json::from_slice(computed)) else {
        return Some(first_bytes(file, given, computed));
    };
    match value_difference(String::new(), &a, &b) {
        Some((pointer, given, computed)) => Some(line(file, &pointer, 1, given, computed)),
        // Equal values, written otherwise.
        None => Some(line(file, "spelling", 1, Some(text(given)), Some(text(computed)))),
    }
}

type At = (String, Option<String>, Option<String>);

fn value_difference(at: String, given: &Value, computed: &Value) -> Option<At> {
    let show = |value: Option<&Value>| {
        value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let either = |pointer: String, a: Option<&Value>, b: Option<&Value>| match (a, b) {
        (Some(a), Some(b)) => value_difference(pointer, a, b),
        (a, b) => Some((pointer, show(a), show(b))),
    };
    match (given, computed) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.into_iter().find_map(|key| either(format!("{at}/{key}"), a.get(key), b.get(key)))
        }
        (Value::Array(a), Value::Array(b)) => {
            (0..a.len().max(b.len())).find_map(|i| either(format!("{at}/{i}"), a.get(i), b.get(i)))
        }
        _ if given == computed => None,
        _ => Some((at, show(Some(given)), show(Some(computed)))),
    }
}

/// Where the bytes part, with a little of what follows.
fn first_bytes(file: &str, given: &[u8], computed: &[u8]) -> Difference {
    let same = given.iter().zip(computed).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(20);
    let part = |bytes: &[u8]| {
        let end = bytes.len().min(same + 20);
        bytes.get(from..end).map(|part| String::from_utf8_lossy(part).into_owned())
    };
    line(file, &format!("byte {same}"), 1, part(given), part(computed))
}
