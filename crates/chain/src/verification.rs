//! What a block explorer needs to verify a deployed contract: the sources and settings it was
//! compiled from, as `scripts/gen` wrote them and saw them compile to the committed bytecode.

use serde::Deserialize;
use serde_json::Value;

const PROJECT_REGISTRY: &str = include_str!("../verification/ProjectRegistry.json");
const NODE_LICENSE: &str = include_str!("../verification/NodeLicense.json");
const LICENSE_SALE: &str = include_str!("../verification/LicenseSale.json");
const REWARD_DISTRIBUTOR: &str = include_str!("../verification/RewardDistributor.json");

/// Verification data of one contract.
///
/// # Examples
///
/// ```
/// use nodesys_chain::verification::Verification;
///
/// let data = Verification::reward_distributor();
/// assert!(data.contract.ends_with(":RewardDistributor"));
/// assert_eq!(data.input["language"], "Solidity");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Verification {
    /// The compiler's version, as explorers list it after a `v`.
    pub compiler: String,
    /// The contract, as `path:name`.
    pub contract: String,
    /// The compiler's
    /// [standard JSON input](https://docs.soliditylang.org/en/latest/using-the-compiler.html).
    pub input: Value,
}

impl Verification {
    /// Of `ProjectRegistry`.
    pub fn project_registry() -> Self {
        parsed(PROJECT_REGISTRY)
    }

    /// Of `NodeLicense`.
    pub fn node_license() -> Self {
        parsed(NODE_LICENSE)
    }

    /// Of `LicenseSale`.
    pub fn license_sale() -> Self {
        parsed(LICENSE_SALE)
    }

    /// Of `RewardDistributor`.
    pub fn reward_distributor() -> Self {
        parsed(REWARD_DISTRIBUTOR)
    }
}

fn parsed(file: &str) -> Verification {
    serde_json::from_str(file).expect("a committed file that a test parses")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_verification_data() {
        for (made, name) in [
            (Verification::project_registry(), "ProjectRegistry"),
            (Verification::node_license(), "NodeLicense"),
            (Verification::license_sale(), "LicenseSale"),
            (Verification::reward_distributor(), "RewardDistributor"),
        ] {
            let source = format!("contracts/src/{name}.sol");
            assert_eq!(made.contract, format!("{source}:{name}"));
            assert!(made.compiler.starts_with("0.8."), "{}", made.compiler);
            assert_eq!(made.input["language"], "Solidity");
            assert!(made.input["sources"][source]["content"].is_string());
        }
    }
}
