//! One transaction.

use std::borrow::Cow;

use sqlx::{Executor, Postgres, SqlSafeStr, Sqlite, Transaction};

use super::{Engine, Row, Value};
use crate::{Error, Result};

/// One transaction. What is not committed is rolled back when it is dropped.
pub struct Session(Open);

enum Open {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl From<Transaction<'static, Sqlite>> for Session {
    fn from(transaction: Transaction<'static, Sqlite>) -> Self {
        Self(Open::Sqlite(transaction))
    }
}

impl From<Transaction<'static, Postgres>> for Session {
    fn from(transaction: Transaction<'static, Postgres>) -> Self {
        Self(Open::Postgres(transaction))
    }
}

/// A statement with its values; the same text for both engines.
macro_rules! bound {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query($sql);
        for value in $values {
            query = match value {
                Value::Boolean(value) => query.bind(value),
                Value::Integer(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}

impl Session {
    /// Which engine it is on.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.0 {
            Open::Sqlite(_) => Engine::Sqlite,
            Open::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs a statement and gives the number of rows that it touched.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when a unique index refuses; others when the database fails.
    pub async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64> {
        Ok(match &mut self.0 {
            Open::Sqlite(transaction) => bound!(sql, values)
                .execute(&mut **transaction)
                .await?
                .rows_affected(),
            Open::Postgres(transaction) => bound!(sql, values)
                .execute(&mut **transaction)
                .await?
                .rows_affected(),
        })
    }

    /// All rows of a statement.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub async fn fetch_all(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>> {
        Ok(match &mut self.0 {
            Open::Sqlite(transaction) => {
                let rows = bound!(sql, values).fetch_all(&mut **transaction).await?;
                rows.into_iter().map(Row::from).collect()
            }
            Open::Postgres(transaction) => {
                let rows = bound!(sql, values).fetch_all(&mut **transaction).await?;
                rows.into_iter().map(Row::from).collect()
            }
        })
    }

    /// The first row of a statement, if there is one.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub async fn fetch_optional(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>> {
        Ok(self.fetch_all(sql, values).await?.into_iter().next())
    }

    /// The first row of a statement that always has one.
    ///
    /// # Errors
    /// [`Error::Statement`] when there is none.
    pub async fn fetch_one(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Row> {
        let row = self.fetch_optional(sql, values).await?;
        row.ok_or_else(|| Error::Statement {
            message: "a statement that always gives a row gave none".into(),
        })
    }

    /// Makes what was written durable and visible.
    ///
    /// # Errors
    /// [`Error::CommitUnknown`] when the connection broke in this moment; else nothing was written.
    pub async fn commit(self) -> Result<()> {
        let committed = match self.0 {
            Open::Sqlite(transaction) => transaction.commit().await,
            Open::Postgres(transaction) => transaction.commit().await,
        };
        committed.map_err(|error| match &error {
            sqlx::Error::Database(_) => error.into(),
            _ => Error::CommitUnknown {
                message: error.to_string(),
            },
        })
    }

    /// Runs the statements of a migration. On PostgreSQL its texts compare by bytes, as on SQLite, and it may take
    /// longer than a statement of every day.
    pub(crate) async fn run_script(&mut self, sql: &'static str) -> Result<()> {
        match &mut self.0 {
            Open::Sqlite(transaction) => {
                (&mut **transaction).execute(sqlx::raw_sql(sql)).await?;
            }
            Open::Postgres(transaction) => {
                let script = format!("set local statement_timeout = 0;\n{}", compared_by_bytes(sql));
                (&mut **transaction)
                    .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(script)))
                    .await?;
            }
        }
        Ok(())
    }

    /// A page of rows and how many there are in all: both statements take the filter's values, the one of the page also
    /// the limit and the offset, as the last two.
    ///
    /// # Errors
    /// When the database fails, or a row cannot be read.
    pub(crate) async fn page<T>(
        &mut self,
        (count, page): (&'static str, &'static str),
        filter: Vec<Value>,
        (skip, take): (i64, i64),
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<(Vec<T>, i64)> {
        let total = self.fetch_one(count, filter.clone()).await?.integer("total")?;
        let mut values = filter;
        values.extend([take.into(), skip.into()]);
        let rows = self.fetch_all(page, values).await?;
        Ok((rows.iter().map(read).collect::<Result<_>>()?, total))
    }

    /// Asks the engine whether it understands a statement, without running it. PostgreSQL is told types only where it
    /// cannot find them out; when a statement runs, each value brings its type.
    ///
    /// # Errors
    /// What the engine says against it.
    pub async fn prepare(&mut self, sql: &'static str) -> Result<()> {
        match &mut self.0 {
            Open::Sqlite(transaction) => {
                (&mut **transaction).prepare(sql.into_sql_str()).await?;
                Ok(())
            }
            Open::Postgres(transaction) => prepare_with_types(transaction, sql).await,
        }
    }
}

/// A list for a condition `replace(list, ',' || id || ',', '') <> list`: `,A,B,`, or empty for no filter.
pub(crate) fn any_of(words: &[String]) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(",{},", words.join(","))
    }
}

/// The type `text` of a script, wherever it is a word, becomes `text collate "C"`.
fn compared_by_bytes(script: &str) -> Cow<'_, str> {
    const WORD: &str = "text";
    let mut out = String::new();
    let mut rest = script;
    while let Some(at) = rest.find(WORD) {
        let (before, behind) = (&rest[..at], &rest[at + WORD.len()..]);
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let is_word = !before.ends_with(part_of_word) && !behind.starts_with(part_of_word);
        out.push_str(before);
        out.push_str(if is_word { "text collate \"C\"" } else { WORD });
        rest = behind;
    }
    if out.is_empty() {
        Cow::Borrowed(script)
    } else {
        Cow::Owned(out + rest)
    }
}

/// Tries the types that we use for each parameter that PostgreSQL asks about, one after the other.
async fn prepare_with_types(
    transaction: &mut Transaction<'static, Postgres>,
    sql: &'static str,
) -> Result<()> {
    use sqlx::TypeInfo;
    use sqlx::postgres::{PgTypeInfo, types::Oid};
    let unknown = PgTypeInfo::with_oid(Oid(0));
    let ours = ["text", "int8", "bool", "bytea"].map(PgTypeInfo::with_name);
    let mut types: Vec<PgTypeInfo> = Vec::new();
    let mut tried: Vec<usize> = Vec::new();
    loop {
        sqlx::query("savepoint preparing")
            .execute(&mut **transaction)
            .await?;
        let refusal = match (&mut **transaction)
            .prepare_with(sql.into_sql_str(), &types)
            .await
        {
            Ok(_) => return Ok(()),
            Err(refusal) => refusal,
        };
        sqlx::query("rollback to savepoint preparing")
            .execute(&mut **transaction)
            .await?;
        let message = refusal.to_string();
        let asked = message.split_once("parameter $").and_then(|(_, rest)| {
            rest.split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse::<usize>()
                .ok()
        });
        let Some(number) = asked.filter(|number| (1..=64).contains(number)) else {
            return Err(refusal.into());
        };
        if types.len() < number {
            types.resize(number, unknown.clone());
            tried.resize(number, 0);
        }
        let Some(next) = ours.get(tried[number - 1]) else {
            return Err(refusal.into());
        };
        tracing::trace!("parameter {number} is tried as {}", next.name());
        types[number - 1] = next.clone();
        tried[number - 1] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::compared_by_bytes;

    #[test]
    fn the_type_text_gets_a_collation_and_other_words_do_not() {
        assert_eq!(
            compared_by_bytes("create table a (id text, context bigint, text_b text not null)"),
            "create table a (id text collate \"C\", context bigint, text_b text collate \"C\" not null)"
        );
        assert_eq!(compared_by_bytes("drop table a"), "drop table a");
    }
}
