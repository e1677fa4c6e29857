//! Each minute: drops logins, their texts and pairings whose time is over.

use crate::db;
use crate::periodic::Periodic;
use crate::state::AppState;

/// Drops what has ended by itself; safe at every replica at once.
pub(crate) struct DropEnded {
    app: AppState,
}

impl DropEnded {
    pub(crate) const fn new(app: AppState) -> Self {
        Self { app }
    }
}

impl Periodic for DropEnded {
    const NAME: &'static str = "ended";

    async fn tick(&mut self) -> anyhow::Result<()> {
        let now = self.app.clock.now();
        let mut conn = self.app.pool.acquire().await?;
        db::login::drop_ended(&mut conn, now).await?;
        db::pairing::drop_ended(&mut conn, now).await
    }
}
