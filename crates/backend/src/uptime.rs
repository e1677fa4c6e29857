//! Uptime: a UTC day is open while it accepts batches, and closes once, for good.
//!
//! A day closes 5 minutes after midnight UTC once a batch of the next day shows that ingest lived
//! past it, or at the latest an hour after midnight. Closing folds all the day's
//! batches under the day's row lock, which every batch insert shares, so no batch can be missed;
//! it writes each project's `uptime.csv` and signs `DayClosed` over all of them.

mod cause;
mod close;
mod count;
mod expected;
mod http;

pub(crate) use close::Close;
pub(crate) use count::Count;
pub(crate) use http::*;
