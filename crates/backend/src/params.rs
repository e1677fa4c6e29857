//! Path parameters shared by several stages.

use std::str::FromStr;

use nodesys_core::ids::{Name, ParseError};
use nodesys_core::{Address, U256};
use serde::{Deserialize, Deserializer};
use sqlx::PgConnection;

use crate::db::project::{self, ProjectRow};
use crate::error::{ApiError, ApiResult};
use crate::state::App;

/// A project: its name, or its distributor's address.
#[derive(Debug, Clone)]
pub(crate) enum ProjectRef {
    Name(Name),
    Address(Address),
}

impl<'de> Deserialize<'de> for ProjectRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Address::from_str(&text) {
            Ok(address) if text.starts_with("0x") => Ok(Self::Address(address)),
            _ => text.parse().map(Self::Name).map_err(serde::de::Error::custom),
        }
    }
}

impl ProjectRef {
    /// The project's row.
    pub(crate) async fn find(&self, conn: &mut PgConnection) -> ApiResult<ProjectRow> {
        let found = match self {
            Self::Name(name) => project::by_name(conn, name).await?,
            Self::Address(address) => project::by_address(conn, *address).await?,
        };
        found.ok_or_else(|| {
            ApiError::unknown_project(
                "the registry lists no such project in a final block: names are case-sensitive, and a \
                 new project takes a few minutes",
            )
        })
    }

    /// The same, on a connection of its own.
    pub(crate) async fn find_in(&self, app: &App) -> ApiResult<ProjectRow> {
        let mut conn = app.pool.acquire().await?;
        self.find(&mut conn).await
    }
}

/// The name of a file of a bundle: letters, digits, dots, dashes and underscores.
#[derive(Debug, Clone)]
pub(crate) struct FileName(pub(crate) String);

/// Longest name of a file.
const MOST_NAME_BYTES: usize = 64;

impl FromStr for FileName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if (1..=MOST_NAME_BYTES).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(
            "file name",
            "not 1 to 64 letters, digits, dots, dashes and underscores",
            text,
        ))
    }
}

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A token id: a decimal number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenId(pub(crate) U256);

impl FromStr for TokenId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let parsed = if digits { U256::from_str_radix(text, 10).ok() } else { None };
        parsed.map(Self).ok_or_else(|| ParseError::new("token id", "not a decimal number", text))
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
