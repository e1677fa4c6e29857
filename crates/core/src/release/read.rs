//! Reading a document field by field: every problem is kept, with the JSON pointer of its field.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A field that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field, as an RFC 6901 pointer; the document itself is the empty one.
    pub pointer: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "the release" } else { &self.pointer };
        write!(f, "{pointer}: {}", self.problem)
    }
}

/// The problems found so far.
#[derive(Default)]
pub(super) struct Problems(RefCell<Vec<FieldProblem>>);

impl Problems {
    pub(super) fn into_inner(self) -> Vec<FieldProblem> {
        self.0.into_inner()
    }
}

/// A value and where it stands. What a method refuses is written down, and it answers `None`.
#[derive(Clone)]
pub(super) struct At<'a> {
    value: &'a Value,
    pointer: String,
    problems: &'a Problems,
}

/// What a release cannot ask for, however it is spelled, and why.
const NEVER: [(&str, &str); 16] = [
    ("hostpath", "a workload never sees the host's files; use a volume"),
    ("hostnetwork", "a workload never uses the host's network"),
    ("hostpid", "a workload never sees the host's processes"),
    ("hostipc", "a workload never shares memory with the host"),
    ("hostport", "a workload never listens on the host"),
    ("hostaliases", "a workload never changes how names resolve"),
    ("privileged", "a workload never has privileges"),
    ("capabilities", "a workload has no capabilities"),
    ("securitycontext", "the node sets the security context, the same for every workload"),
    ("allowprivilegeescalation", "a workload never gains privileges"),
    ("serviceaccount", "a workload has no access to the cluster"),
    ("serviceaccountname", "a workload has no access to the cluster"),
    ("automountserviceaccounttoken", "a workload has no access to the cluster"),
    ("runasuser", "use user_id"),
    ("nodeselector", "the operator chooses the machine"),
    ("tolerations", "the operator chooses the machine"),
];

impl<'a> At<'a> {
    pub(super) const fn root(value: &'a Value, problems: &'a Problems) -> Self {
        Self { value, pointer: String::new(), problems }
    }

    /// Writes a problem of this field down.
    pub(super) fn refuse(&self, problem: impl fmt::Display) {
        let (pointer, problem) = (self.pointer.clone(), problem.to_string());
        self.problems.0.borrow_mut().push(FieldProblem { pointer, problem });
    }

    /// Writes down a problem of a field further in.
    pub(super) fn refuse_inner(&self, path: &[&str], problem: impl fmt::Display) {
        let at = path.iter().fold(self.clone(), |at, segment| at.inner(segment, at.value));
        at.refuse(problem);
    }

    fn inner(&self, segment: impl fmt::Display, value: &'a Value) -> Self {
        // RFC 6901, 3: the tilde first, or it would escape its own escapes.
        let segment = segment.to_string().replace('~', "~0").replace('/', "~1");
        let pointer = format!("{}/{segment}", self.pointer);
        Self { value, pointer, problems: self.problems }
    }

    /// An object that has only these fields.
    pub(super) fn object(&self, known: &[&str]) -> Option<Fields<'a>> {
        let Some(map) = self.value.as_object() else {
            self.refuse("expected an object");
            return None;
        };
        for (name, value) in map.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            // As Kubernetes spells it or as we do: hostNetwork, host_network.
            let plain: String = name.chars().filter(|c| *c != '_').collect();
            let never = NEVER.iter().find(|(field, _)| plain.eq_ignore_ascii_case(field));
            match never {
                Some((_, why)) => self.inner(name, value).refuse(why),
                None => {
                    let known = known.join(", ");
                    self.inner(name, value).refuse(format!("unknown field; known are {known}"));
                }
            }
        }
        Some(Fields { map, at: self.clone() })
    }

    /// The entries of an object whose names are free.
    pub(super) fn entries(&self, most: usize) -> Option<Vec<(&'a str, Self)>> {
        let Some(map) = self.value.as_object() else {
            self.refuse("expected an object");
            return None;
        };
        if map.len() > most {
            self.refuse(format!("has {} entries, at most {most} are allowed", map.len()));
            return None;
        }
        Some(map.iter().map(|(name, value)| (name.as_str(), self.inner(name, value))).collect())
    }

    pub(super) fn list(&self, many: RangeInclusive<usize>) -> Option<Vec<Self>> {
        let Some(items) = self.value.as_array() else {
            self.refuse("expected a list");
            return None;
        };
        if !many.contains(&items.len()) {
            let (least, most) = (many.start(), many.end());
            self.refuse(format!("has {} entries, expected {least} to {most}", items.len()));
            return None;
        }
        Some(items.iter().enumerate().map(|(i, item)| self.inner(i, item)).collect())
    }

    /// Text of at most so many bytes, without control characters but line ends and tabs.
    pub(super) fn text(&self, most_bytes: usize) -> Option<&'a str> {
        let Some(text) = self.value.as_str() else {
            self.refuse("expected text");
            return None;
        };
        if text.len() > most_bytes {
            self.refuse(format!("has {} bytes, at most {most_bytes} are allowed", text.len()));
            return None;
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            self.refuse("has control characters");
            return None;
        }
        Some(text)
    }

    pub(super) fn parsed<T>(&self) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        // Longer than any value that is parsed.
        match self.text(1024)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(error);
                None
            }
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.refuse("expected true or false");
        }
        flag
    }

    pub(super) fn number(&self, range: RangeInclusive<u32>) -> Option<u32> {
        // 1.0 and 1e3 are refused as well: a value has one spelling.
        let number = self.value.as_u64().and_then(|number| u32::try_from(number).ok());
        match number {
            Some(number) if range.contains(&number) => Some(number),
            _ => {
                let (least, most) = (range.start(), range.end());
                self.refuse(format!("expected a whole number from {least} to {most}"));
                None
            }
        }
    }

    /// One of the words a value has.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let found = self.value.as_str();
        let value = words.iter().find(|(word, _)| found == Some(*word)).map(|(_, value)| *value);
        if value.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.refuse(format!("expected {}", words.join(" or ")));
        }
        value
    }
}

/// The fields of an object.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    at: At<'a>,
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, name: &str) -> Option<At<'a>> {
        self.map.get(name).map(|value| self.at.inner(name, value))
    }

    /// A field that must be there.
    pub(super) fn need(&self, name: &str) -> Option<At<'a>> {
        let found = self.get(name);
        if found.is_none() {
            self.at.inner(name, &Value::Null).refuse("is missing");
        }
        found
    }

    /// A field that may be left out; `None` only where it is there and refused.
    pub(super) fn or<T>(
        &self,
        name: &str,
        default: T,
        read: impl FnOnce(&At<'a>) -> Option<T>,
    ) -> Option<T> {
        self.get(name).map_or(Some(default), |at| read(&at))
    }
}

/// Refuses a value that is listed twice, at its second place.
pub(super) fn all_different<'a, T: Ord + fmt::Display + 'a>(
    values: impl IntoIterator<Item = (&'a At<'a>, &'a T)>,
) {
    let mut seen = BTreeSet::new();
    for (at, value) in values {
        if !seen.insert(value) {
            at.refuse(format!("{value} is listed twice"));
        }
    }
}

/// All or nothing: `None` where one of them was refused.
pub(super) fn all<T>(values: impl IntoIterator<Item = Option<T>>) -> Option<Vec<T>> {
    // Not `collect`, which would stop at the first problem.
    let values: Vec<Option<T>> = values.into_iter().collect();
    values.into_iter().collect()
}

/// JSON in which no name appears twice in an object: such a text could mean two things.
pub(super) fn strict_json(text: &[u8]) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Self)?;
            if map.contains_key(&name) {
                return Err(de::Error::custom(format!("{name:?} appears twice in an object")));
            }
            map.insert(name, value);
        }
        Ok(map.into())
    }
}
