//! The certificate that agents trust. Its private key is sealed like every secret.

use security::{Certificate, KeyRing, SealedPlace};
use storage::Database;
use storage::certificate::StoredCertificate;

use crate::Result;

/// Its id, which clients know.
pub const GLOBAL: &str = "certificate-global";
const COMMON_NAME: &str = "Octopus Server";

/// The Server's certificate for agents; made when there is none yet.
///
/// # Errors
/// When the database fails, or the stored key does not open.
pub async fn global(database: &Database, keys: &KeyRing, now: i64) -> Result<Certificate> {
    let place = SealedPlace {
        space: "",
        document_type: "certificate",
        document_id: GLOBAL,
        field: "private_key",
    };
    let mut session = database.read().await?;
    if let Some(stored) = storage::certificate::find(&mut session, GLOBAL).await? {
        let private_key = keys.open_bytes(place, &stored.private_key)?;
        return Ok(Certificate::from_der(stored.der, private_key)?);
    }
    drop(session);
    let made = tokio::task::spawn_blocking(move || Certificate::generate(COMMON_NAME, now))
        .await
        .map_err(|error| crate::Error::internal("The Server's certificate could not be made.", error))??;
    let stored = StoredCertificate {
        der: made.der.clone(),
        private_key: keys.seal_bytes(place, &made.private_key_pkcs8),
    };
    let mut session = database.write().await?;
    storage::certificate::insert(&mut session, GLOBAL, &stored, now).await?;
    session.commit().await?;
    Ok(made)
}
