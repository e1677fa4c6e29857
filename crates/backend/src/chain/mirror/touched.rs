//! Whose rights new blocks may have changed.

use std::collections::BTreeSet;

use nodesys_chain::logs::Delegated;
use nodesys_core::Address;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::license::LicenseId;

/// Operators and licenses whose rights may have changed.
#[derive(Default)]
pub(crate) struct Touched {
    pub(super) licenses: BTreeSet<LicenseIndex>,
    pub(super) delegates: BTreeSet<Delegated>,
    /// Nobody can say whose.
    pub(super) anybody: bool,
}

impl Touched {
    /// Adds another's changes.
    pub(super) fn extend(&mut self, other: Self) {
        self.licenses.extend(other.licenses);
        self.delegates.extend(other.delegates);
        self.anybody |= other.anybody;
    }

    /// Whether no right may have changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.licenses.is_empty() && self.delegates.is_empty() && !self.anybody
    }

    /// Whether this operator's right to this license may have changed.
    pub(crate) fn concerns(
        &self,
        license: LicenseIndex,
        id: &LicenseId,
        operator: Address,
    ) -> bool {
        let delegate = Delegated { to: operator, collection: id.collection };
        self.anybody || self.licenses.contains(&license) || self.delegates.contains(&delegate)
    }
}
