//! Between columns and our types. What comes out of the file is checked like any other input.

use std::error::Error;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use usher_auth::UnixTime;
use usher_auth::ids::InvalidId;
use usher_auth::secret::HashedToken;
use usher_store::StoreError;

/// Says of an error what was being done.
pub(super) trait During<T> {
    /// What was being done.
    fn during(self, context: &'static str) -> Result<T, StoreError>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> During<T> for Result<T, E> {
    fn during(self, context: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::new(context, error))
    }
}

/// Why a row could not be understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    /// The column is not there or of another type.
    #[error(transparent)]
    Column(#[from] sqlx::Error),
    /// An id that breaks the rules of its kind.
    #[error("the column {0} holds no valid id")]
    Id(&'static str, #[source] InvalidId),
    /// A hash of another length.
    #[error("the column {0} does not hold 32 bytes")]
    Hash(&'static str),
    /// A time outside `0..=UnixTime::MAX`.
    #[error("the column {0} holds no valid time")]
    Time(&'static str),
    /// A word that is none of those it may be.
    #[error("the column {0} holds a word that is not known here")]
    Word(&'static str),
    /// Columns that belong together are there in part.
    #[error("the column {0} is empty although it belongs to others that are not")]
    Missing(&'static str),
}

/// Reading a column of a row as what it should be.
pub(super) trait Columns {
    /// Text, as it is.
    fn text(&self, column: &'static str) -> Result<String, RowError>;
    /// Yes or no.
    fn flag(&self, column: &'static str) -> Result<bool, RowError>;
    /// Text that may be missing.
    fn optional_text(&self, column: &'static str) -> Result<Option<String>, RowError>;
    /// Bytes that may be missing.
    fn optional_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>, RowError>;
    /// An id, through the constructor that checks it.
    fn id<T>(&self, column: &'static str, new: impl FnOnce(String) -> Result<T, InvalidId>) -> Result<T, RowError> {
        new(self.text(column)?).map_err(|error| RowError::Id(column, error))
    }
    /// An id that may be missing.
    fn optional_id<T>(
        &self,
        column: &'static str,
        new: impl FnOnce(String) -> Result<T, InvalidId>,
    ) -> Result<Option<T>, RowError> {
        let id = self.optional_text(column)?.map(new).transpose();
        id.map_err(|error| RowError::Id(column, error))
    }
    /// A moment.
    fn time(&self, column: &'static str) -> Result<UnixTime, RowError> {
        self.optional_time(column)?.ok_or(RowError::Missing(column))
    }
    /// A moment that may be missing.
    fn optional_time(&self, column: &'static str) -> Result<Option<UnixTime>, RowError>;
    /// A hashed token.
    fn hash(&self, column: &'static str) -> Result<HashedToken, RowError> {
        self.optional_hash(column)?.ok_or(RowError::Missing(column))
    }
    /// A hashed token that may be missing.
    fn optional_hash(&self, column: &'static str) -> Result<Option<HashedToken>, RowError> {
        let Some(bytes) = self.optional_bytes(column)? else { return Ok(None) };
        let bytes = bytes.try_into().map_err(|_| RowError::Hash(column))?;
        Ok(Some(HashedToken::from_bytes(bytes)))
    }
}

impl Columns for SqliteRow {
    fn text(&self, column: &'static str) -> Result<String, RowError> {
        Ok(self.try_get(column)?)
    }

    fn flag(&self, column: &'static str) -> Result<bool, RowError> {
        Ok(self.try_get(column)?)
    }

    fn optional_text(&self, column: &'static str) -> Result<Option<String>, RowError> {
        Ok(self.try_get(column)?)
    }

    fn optional_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>, RowError> {
        Ok(self.try_get(column)?)
    }

    fn optional_time(&self, column: &'static str) -> Result<Option<UnixTime>, RowError> {
        let Some(millis) = self.try_get::<Option<i64>, _>(column)? else { return Ok(None) };
        // The constructor clamps, which is right for what a clock says and would hide what went wrong here.
        let time = UnixTime::from_millis(millis);
        if time.as_millis() == millis { Ok(Some(time)) } else { Err(RowError::Time(column)) }
    }
}

/// Read all of `rows` as what they should be.
pub(super) fn read_all<T>(
    rows: Vec<SqliteRow>,
    read: impl Fn(&SqliteRow) -> Result<T, RowError>,
    context: &'static str,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(read).collect::<Result<_, _>>().during(context)
}

/// Read the row, if there is one, as what it should be.
pub(super) fn read_one<T>(
    row: Option<SqliteRow>,
    read: impl Fn(&SqliteRow) -> Result<T, RowError>,
    context: &'static str,
) -> Result<Option<T>, StoreError> {
    row.as_ref().map(read).transpose().during(context)
}

/// A hash, to be bound.
pub(super) fn bytes(hash: &HashedToken) -> &[u8] {
    hash.as_bytes()
}
