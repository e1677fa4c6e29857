//! A contract's refusal in words: the custom error's name and values.
//!
//! Errors are looked up by selector in the ABIs of our own contracts and of the standards they
//! are built on, so a refusal reads the same whichever contract down the call chain made it.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use alloy::dyn_abi::{DynSolValue, ErrorExt as _};
use alloy::json_abi::{Error, JsonAbi};
use alloy::primitives::{Bytes, Selector};

/// The committed artifacts whose errors are known by name.
const ARTIFACTS: [&str; 5] = [
    include_str!("../abi/ProjectRegistry.json"),
    include_str!("../abi/NodeLicense.json"),
    include_str!("../abi/LicenseSale.json"),
    include_str!("../abi/RewardDistributor.json"),
    include_str!("../abi/DevToken.json"),
];

#[derive(serde::Deserialize)]
struct Artifact {
    abi: JsonAbi,
}

static KNOWN: LazyLock<HashMap<Selector, Error>> = LazyLock::new(|| {
    ARTIFACTS
        .iter()
        .filter_map(|json| serde_json::from_str::<Artifact>(json).ok())
        .flat_map(|artifact| artifact.abi.errors().cloned().collect::<Vec<_>>())
        .map(|error| (error.selector(), error))
        .collect()
});

/// Why a contract refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    name: Option<String>,
    words: String,
    data: Bytes,
}

impl Revert {
    /// Reads revert data: `Error(string)`, `Panic(uint256)`, or a custom error of a known ABI.
    pub fn decode(data: &Bytes) -> Self {
        let known = data.get(..4).and_then(|selector| KNOWN.get(selector));
        let decoded = known.and_then(|error| Some((error, error.decode_error(data).ok()?)));
        if let Some((error, values)) = decoded {
            let values: Vec<String> = error
                .inputs
                .iter()
                .zip(&values.body)
                .map(|(input, value)| format!("{} {}", input.name, show(value)).trim().to_owned())
                .collect();
            let words = match values.is_empty() {
                true => error.name.clone(),
                false => format!("{} ({})", error.name, values.join(", ")),
            };
            return Self { name: Some(error.name.clone()), words, data: data.clone() };
        }
        let words = alloy::sol_types::decode_revert_reason(data).unwrap_or_else(|| {
            if data.is_empty() { "no reason given".to_owned() } else { format!("data {data}") }
        });
        Self { name: None, words, data: data.clone() }
    }

    /// The custom error's name, where it is known.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether it is this custom error of the bindings.
    pub fn is<E: alloy::sol_types::SolError>(&self) -> bool {
        self.data.starts_with(&E::SELECTOR)
    }

    /// The custom error's values, where it is this one.
    pub fn decoded<E: alloy::sol_types::SolError>(&self) -> Option<E> {
        E::abi_decode(&self.data).ok()
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

fn show(value: &DynSolValue) -> String {
    match value {
        DynSolValue::Address(address) => address.to_string(),
        DynSolValue::Uint(number, _) => number.to_string(),
        DynSolValue::Int(number, _) => number.to_string(),
        DynSolValue::Bool(flag) => flag.to_string(),
        DynSolValue::String(text) => format!("{text:?}"),
        DynSolValue::FixedBytes(word, size) => {
            alloy::primitives::hex::encode_prefixed(&word[..*size])
        }
        DynSolValue::Bytes(bytes) => alloy::primitives::hex::encode_prefixed(bytes),
        other => format!("{other:?}"),
    }
}
