//! The list of sessions, and what is searched in it.

use jiff::Timestamp;

use super::SqlStore;
use crate::session::{
    record::SessionStatus,
    store::{
        Listing, Page,
        rows::{listing, millis},
    },
};

impl SqlStore {
    pub(super) async fn read_page(&self, page: &Page, now: Timestamp) -> sqlx::Result<Listing> {
        let (ms, name) = page.start();
        let search = page.search.as_deref().map(self.dialect.search);
        let (text, words) = search.map_or((None, None), |(text, words)| (Some(text), words));
        let read = self
            .query(
                "SELECT {columns} FROM sessions WHERE tenant = $1 AND {live} \
                 AND last_accessed_at <= $4 AND (last_accessed_at < $4 OR name > $5) \
                 AND ($7 IS NULL OR {mentioned} OR name IN ({with_words})) AND ($9 IS NULL OR directory = $9) \
                 AND ($10 IS NULL OR status = $10) AND last_accessed_at >= $11 \
                 ORDER BY last_accessed_at DESC, name LIMIT $6",
            )
            .bind(millis(now))
            .bind(ms)
            .bind(name)
            .bind(i64::from(page.limit) + 1)
            .bind(text)
            .bind(words)
            .bind(page.directory.as_ref().map(|path| path.to_string_lossy().into_owned()))
            .bind(page.status.map(SessionStatus::as_str))
            .bind(page.since.map_or(i64::MIN, millis));
        listing(&read.all(&self.pool).await?, page.limit as usize)
    }
}
