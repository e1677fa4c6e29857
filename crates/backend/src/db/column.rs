//! Between raw columns and parsed values: a row that does not fit its type is a broken database.

use anyhow::{Context, anyhow};
use nodesys_core::ids::{Amount, Fence, LicenseIndex};
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, B256, U256};

/// A 20-byte column.
pub(super) fn address(bytes: &[u8]) -> anyhow::Result<Address> {
    Address::try_from(bytes).map_err(|_| anyhow!("not an address: {} bytes", bytes.len()))
}

/// A 32-byte column.
pub(super) fn hash(bytes: &[u8]) -> anyhow::Result<B256> {
    B256::try_from(bytes).map_err(|_| anyhow!("not a hash: {} bytes", bytes.len()))
}

/// A 32-byte big-endian number.
pub(super) fn uint256(bytes: &[u8]) -> anyhow::Result<U256> {
    Ok(hash(bytes)?.into())
}

/// `numeric` read as text.
pub(super) fn amount(text: &str) -> anyhow::Result<Amount> {
    text.parse().with_context(|| format!("not an amount: {text:?}"))
}

/// A number the schema keeps non-negative.
pub(super) fn unsigned<T: TryInto<u64>>(value: T) -> anyhow::Result<u64> {
    value.try_into().map_err(|_| anyhow!("a negative number where none can be"))
}

/// For `bigint` columns.
pub(super) fn signed(value: u64) -> anyhow::Result<i64> {
    i64::try_from(value).context("a number of 2^63 or more")
}

/// Milliseconds since 1970.
pub(super) fn time(millis: i64) -> anyhow::Result<Timestamp> {
    unsigned(millis).map(Timestamp::from_millis)
}

/// The same, to be stored.
pub(super) fn millis(at: Timestamp) -> anyhow::Result<i64> {
    signed(at.millis())
}

/// Days since 1970.
pub(super) fn day(number: i32) -> anyhow::Result<UtcDay> {
    Ok(UtcDay(u32::try_from(number)?))
}

/// The same, to be stored.
pub(super) fn day_number(day: UtcDay) -> anyhow::Result<i32> {
    i32::try_from(day.0).context("a day beyond the calendar")
}

/// A license's dense index.
pub(super) fn license(index: i32) -> anyhow::Result<LicenseIndex> {
    Ok(LicenseIndex(u32::try_from(index)?))
}

/// The same, to be stored.
pub(super) fn license_number(license: LicenseIndex) -> anyhow::Result<i32> {
    Ok(i32::try_from(license.0)?)
}

/// A lease's fencing number.
pub(super) fn fence(value: i64) -> anyhow::Result<Fence> {
    Fence::checked_new(unsigned(value)?).context("fence out of range")
}
