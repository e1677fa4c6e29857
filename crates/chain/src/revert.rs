//! A contract's refusal in words: the custom error's name and values, why, and what to do.
//!
//! Errors are looked up by selector in the ABIs of our own contracts and of the standards they
//! are built on, so a refusal reads the same whichever contract down the call chain made it. The
//! words stand in `revert/words.txt`, one line for each error.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use alloy::dyn_abi::{DynSolValue, ErrorExt as _};
use alloy::json_abi::{Error, JsonAbi};
use alloy::primitives::{Bytes, Selector, U256};
use alloy::sol_types::{GenericContractError, SolInterface as _};
use nodesys_core::time::Timestamp;

/// The committed artifacts whose errors are known by name.
const ARTIFACTS: [&str; 6] = [
    include_str!("../abi/ProjectRegistry.json"),
    include_str!("../abi/NodeLicense.json"),
    include_str!("../abi/LicenseSale.json"),
    include_str!("../abi/RewardDistributor.json"),
    include_str!("../abi/DevToken.json"),
    include_str!("../abi/Multicall3.json"),
];

/// The one error of a contract that nobody calls but the registry, and which has no artifact.
const OF_THE_DEPLOYER: &str = "error NotRegistry(address caller, address registry)";

/// What is said of a refusal without data.
const NO_REASON: &str = "no reason given: it may have run out of gas, or not be the contract it \
                         should be; check the address";

/// Name, why and what to do of each error, see there.
const WORDS: &str = include_str!("revert/words.txt");

/// Times after this are no dates to a reader: "for ever" is written so.
const YEAR_10000: u64 = 253_402_300_800;

#[derive(serde::Deserialize)]
struct Artifact {
    abi: JsonAbi,
}

static KNOWN: LazyLock<HashMap<Selector, Error>> = LazyLock::new(|| {
    ARTIFACTS
        .iter()
        .filter_map(|json| serde_json::from_str::<Artifact>(json).ok())
        .flat_map(|artifact| artifact.abi.errors().cloned().collect::<Vec<_>>())
        .chain(Error::parse(OF_THE_DEPLOYER))
        .map(|error| (error.selector(), error))
        .collect()
});

static WHY_AND_WHAT_TO_DO: LazyLock<HashMap<&str, (&str, &str)>> =
    LazyLock::new(|| lines().map(|(name, why, fix)| (name, (why, fix))).collect());

/// The lines of [`WORDS`].
fn lines() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    WORDS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut parts = line.split(" | ");
        Some((parts.next()?, parts.next()?, parts.next()?))
    })
}

/// Why a contract refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    name: Option<String>,
    words: String,
    data: Bytes,
}

impl Revert {
    /// Reads revert data: `Error(string)`, `Panic(uint256)`, or a custom error of a known ABI.
    ///
    /// # Examples
    ///
    /// ```
    /// use alloy::primitives::U256;
    /// use alloy::sol_types::SolError as _;
    /// use nodesys_chain::bindings::LicenseSale::CostAboveMax;
    /// use nodesys_chain::revert::Revert;
    ///
    /// let error = CostAboveMax { cost: U256::from(750), maxCost: U256::from(450) };
    /// let revert = Revert::decode(&error.abi_encode().into());
    /// assert!(revert.is::<CostAboveMax>());
    /// assert_eq!(revert.name(), Some("CostAboveMax"));
    /// let words = "CostAboveMax (cost 750, maxCost 450): the purchase costs more than the buyer allowed";
    /// assert!(revert.to_string().starts_with(words), "why, and what to do, follow");
    /// ```
    pub fn decode(data: &Bytes) -> Self {
        let known = data.get(..4).and_then(|selector| KNOWN.get(selector));
        let decoded = known.and_then(|error| Some((error, error.decode_error(data).ok()?)));
        if let Some((error, values)) = decoded {
            let values: Vec<String> = error
                .inputs
                .iter()
                .zip(&values.body)
                .map(|(input, value)| format!("{} {}", input.name, shown(&input.name, value)))
                .collect();
            let mut words = match values.is_empty() {
                true => error.name.clone(),
                false => format!("{} ({})", error.name, values.join(", ")),
            };
            if let Some((why, fix)) = WHY_AND_WHAT_TO_DO.get(error.name.as_str()) {
                words.push_str(&format!(": {why}; {fix}"));
            }
            return Self { name: Some(error.name.clone()), words, data: data.clone() };
        }
        let words = match GenericContractError::abi_decode(data) {
            Ok(reason) => reason.to_string(),
            Err(_) if data.is_empty() => NO_REASON.to_owned(),
            Err(_) => format!("data {data}, which no contract known here gives"),
        };
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

/// A value by its name: times as dates too.
fn shown(name: &str, value: &DynSolValue) -> String {
    // The ABI has no type for times.
    let is_time = ["At", "Until", "From"].iter().any(|end| name.ends_with(end))
        || ["timestamp", "deadline", "until", "expires", "activeUntil"].contains(&name);
    match value {
        DynSolValue::Uint(secs, _) if is_time && *secs < U256::from(YEAR_10000) => {
            format!("{secs}, which is {}", Timestamp::from_secs(secs.to()))
        }
        value => show(value),
    }
}

fn show(value: &DynSolValue) -> String {
    match value {
        DynSolValue::Address(address) => address.to_string(),
        DynSolValue::Uint(number, _) => number.to_string(),
        DynSolValue::Int(number, _) => number.to_string(),
        DynSolValue::Bool(flag) => flag.to_string(),
        // A stranger's text, so escaped.
        DynSolValue::String(text) => format!("{text:?}"),
        DynSolValue::FixedBytes(word, size) => {
            alloy::primitives::hex::encode_prefixed(&word[..*size])
        }
        DynSolValue::Bytes(bytes) => alloy::primitives::hex::encode_prefixed(bytes),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use alloy::sol_types::SolError as _;

    use super::*;
    use crate::bindings::LicenseSale::{CostAboveMax, Ended};
    use crate::bindings::RewardDistributor::{NotReady, SignerIsDisabled};

    /// Names of the custom errors that the contracts' sources declare.
    fn declared(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                declared(&path, names);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let errors = source.lines().filter_map(|line| line.trim().strip_prefix("error "));
            names.extend(errors.map(|rest| rest.split_once('(').unwrap().0.to_owned()));
        }
    }

    #[test]
    fn every_custom_error_has_words() {
        let worded: Vec<&str> = lines().map(|(name, ..)| name).collect();
        let written = WORDS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(worded.len(), written.count(), "a line is not `name | why | what to do`");
        let names: BTreeSet<&str> = worded.iter().copied().collect();
        assert_eq!(names.len(), worded.len(), "an error has two lines");
        for (name, why, fix) in lines() {
            assert!(why.len() > 10 && fix.len() > 5, "{name}");
            assert!(!why.ends_with('.') && !fix.ends_with('.'), "{name}");
        }

        let known: BTreeSet<&str> = KNOWN.values().map(|error| error.name.as_str()).collect();
        assert_eq!(names, known, "left: with words, right: in the ABIs");

        let mut sources = BTreeSet::new();
        declared(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/src"), &mut sources);
        assert!(sources.len() > 120, "{}", sources.len());
        let missing: Vec<&String> =
            sources.iter().filter(|name| !known.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn a_refusal_says_what_why_and_what_to_do() {
        let words = |data: Vec<u8>| Revert::decode(&data.into()).to_string();
        let error = CostAboveMax { cost: U256::from(750), maxCost: U256::from(450) };
        assert_eq!(
            words(error.abi_encode()),
            "CostAboveMax (cost 750, maxCost 450): the purchase costs more than the buyer allowed: \
             others may have bought in between; ask for the price again, and raise the limit if it \
             is right"
        );
        assert!(
            words(SignerIsDisabled {}.abi_encode()).starts_with("SignerIsDisabled: the project")
        );
        let ready = NotReady {
            callHash: alloy::primitives::B256::repeat_byte(1),
            readyAt: 1_767_312_000,
            timestamp: U256::from(1_767_312_001),
        };
        let ready = words(ready.abi_encode());
        assert!(ready.contains("readyAt 1767312000, which is 2026-01-02T00:00:00Z"), "{ready}");
        let ended = Ended { endsAt: u64::MAX, timestamp: U256::MAX };
        assert!(words(ended.abi_encode()).contains(&format!("endsAt {},", u64::MAX)));
    }

    #[test]
    fn what_is_no_custom_error_is_shown_too() {
        assert_eq!(Revert::decode(&Bytes::new()).to_string(), NO_REASON);
        let unknown = Revert::decode(&Bytes::from_static(&[1, 2, 3, 4]));
        assert_eq!(unknown.name(), None);
        assert!(unknown.to_string().starts_with("data 0x01020304"), "{unknown}");
        let text = alloy::sol_types::Revert::from("too late").abi_encode();
        assert!(Revert::decode(&text.into()).to_string().contains("too late"));
    }
}
