//! Certificates of the Server itself. The private key is sealed.

use security::Sealed;

use crate::Result;
use crate::database::Session;

crate::statements! {
    INSERT = "insert into certificate (id, der, private_key, created_at) values ($1, $2, $3, $4)";
    FIND = "select der, private_key from certificate where id = $1";
}

/// A certificate as it is kept.
pub struct StoredCertificate {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The private key, sealed.
    pub private_key: Sealed,
}

/// Adds a certificate.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the id is taken.
pub async fn insert(
    session: &mut Session,
    id: &str,
    certificate: &StoredCertificate,
    now: i64,
) -> Result<()> {
    let values = vec![
        id.into(),
        certificate.der.clone().into(),
        certificate.private_key.as_str().into(),
        now.into(),
    ];
    session.execute(INSERT, values).await.map(drop)
}

/// The certificate of this id.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, id: &str) -> Result<Option<StoredCertificate>> {
    let row = session.fetch_optional(FIND, vec![id.into()]).await?;
    row.map(|row| {
        Ok(StoredCertificate {
            der: row.bytes("der")?,
            private_key: Sealed::from_text(row.text("private_key")?),
        })
    })
    .transpose()
}
