//! One transaction.

use sqlx::{Executor, Postgres, Sqlite, Transaction};

use super::{Engine, Row, Value};
use crate::{Error, Result};

/// One transaction. What is not committed is rolled back when it is dropped.
pub enum Session {
    /// On the embedded engine.
    Sqlite(Transaction<'static, Sqlite>),
    /// On the server.
    Postgres(Transaction<'static, Postgres>),
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
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs a statement and gives the number of rows that it touched.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when a unique index refuses; others when the database fails.
    pub async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64> {
        Ok(match self {
            Self::Sqlite(transaction) => bound!(sql, values)
                .execute(&mut **transaction)
                .await?
                .rows_affected(),
            Self::Postgres(transaction) => bound!(sql, values)
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
        Ok(match self {
            Self::Sqlite(transaction) => {
                let rows = bound!(sql, values).fetch_all(&mut **transaction).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(transaction) => {
                let rows = bound!(sql, values).fetch_all(&mut **transaction).await?;
                rows.into_iter().map(Row::Postgres).collect()
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

    /// Runs several statements of a migration.
    pub(crate) async fn run_script(&mut self, sql: &'static str) -> Result<()> {
        match self {
            Self::Sqlite(transaction) => (&mut **transaction).execute(sqlx::raw_sql(sql)).await.map(drop)?,
            Self::Postgres(transaction) => {
                (&mut **transaction).execute(sqlx::raw_sql(sql)).await.map(drop)?
            }
        }
        Ok(())
    }

    /// Asks the engine whether it understands a statement, without running it.
    ///
    /// # Errors
    /// What the engine says against it.
    pub async fn prepare(&mut self, sql: &'static str) -> Result<()> {
        use sqlx::SqlSafeStr;
        match self {
            Self::Sqlite(transaction) => (&mut **transaction).prepare(sql.into_sql_str()).await.map(drop)?,
            Self::Postgres(transaction) => {
                (&mut **transaction).prepare(sql.into_sql_str()).await.map(drop)?
            }
        }
        Ok(())
    }

    /// Makes what was written durable and visible.
    ///
    /// # Errors
    /// When the database fails; then nothing was written.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await?,
            Self::Postgres(transaction) => transaction.commit().await?,
        }
        Ok(())
    }
}
