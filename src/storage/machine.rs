//! Deployment targets, what their last health check found, and the tombstones of those that took
//! themselves away (`containers.md` 3.3, 3.4).

use domain::machine::{Machine, TentacleVersionDetails};
use domain::time::Timestamp;
use domain::{MachineId, SpaceId, name_key};

use crate::Result;
use crate::database::{Row, Session, Value};
use crate::named::{document_of, document_text};

crate::statements! {
    INSERT = "insert into machine (id, space_id, name, name_key, slug, thumbprint, uri, is_disabled, deregistration_mac, document)
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    UPDATE = "update machine set name = $3, name_key = $4, slug = $5, thumbprint = $6, uri = $7, is_disabled = $8,
                  deregistration_mac = $9, document = $10, deregistered_at = null
              where space_id = $2 and id = $1";
    DELETE = "delete from machine where space_id = $1 and id = $2";
    BURY = "update machine set deregistered_at = $3, deregistration_mac = null where space_id = $1 and id = $2 and deregistered_at is null";
    FORGET_ENVIRONMENTS = "delete from machine_environment where machine_id = $1";
    ADD_ENVIRONMENT = "insert into machine_environment (machine_id, environment_id) values ($1, $2) on conflict do nothing";
    FORGET_ROLES = "delete from machine_role where machine_id = $1";
    ADD_ROLE = "insert into machine_role (machine_id, role_key, role) values ($1, $2, $3) on conflict do nothing";
    ALL = "select m.*, h.health_status, h.status_summary, h.has_latest_calamari, h.operating_system, h.shell_name,
                  h.shell_version, h.architecture, h.agent_version
           from machine m left join machine_health h on h.machine_id = m.id
           where m.space_id = $1 and m.deregistered_at is null order by m.name_key";
    NOT_CHECKED_SINCE = "select m.*, h.health_status, h.status_summary, h.has_latest_calamari, h.operating_system, h.shell_name,
                                h.shell_version, h.architecture, h.agent_version
                         from machine m left join machine_health h on h.machine_id = m.id
                         where m.space_id = $1 and m.deregistered_at is null
                           and (h.checked_at is null or h.checked_at < $2)
                         order by m.name_key";
    FIND = "select m.*, h.health_status, h.status_summary, h.has_latest_calamari, h.operating_system, h.shell_name,
                   h.shell_version, h.architecture, h.agent_version
            from machine m left join machine_health h on h.machine_id = m.id
            where m.space_id = $1 and (lower(m.id) = $2 or m.slug = $2) and m.deregistered_at is null";
    BY_THUMBPRINT = "select m.*, h.health_status, h.status_summary, h.has_latest_calamari, h.operating_system, h.shell_name,
                            h.shell_version, h.architecture, h.agent_version
                     from machine m left join machine_health h on h.machine_id = m.id
                     where m.space_id = $1 and m.thumbprint = $2
                     order by case when m.deregistered_at is null then 0 else 1 end, m.deregistered_at desc";
    TOMBSTONE_BY_NAME = "select m.*, h.health_status, h.status_summary, h.has_latest_calamari, h.operating_system, h.shell_name,
                                h.shell_version, h.architecture, h.agent_version
                         from machine m left join machine_health h on h.machine_id = m.id
                         where m.space_id = $1 and m.name_key = $2 and m.deregistered_at is not null
                         order by m.deregistered_at desc limit 1";
    BY_DEREGISTRATION = "select id, space_id from machine where deregistration_mac = $1 and deregistered_at is null";
    TRUSTED = "select m.*, h.health_status, h.status_summary, h.has_latest_calamari, h.operating_system, h.shell_name,
                      h.shell_version, h.architecture, h.agent_version
               from machine m left join machine_health h on h.machine_id = m.id where m.thumbprint is not null";
    ROLES = "select distinct r.role from machine_role r join machine m on m.id = r.machine_id
             where m.space_id = $1 and m.deregistered_at is null order by r.role";
    FORGET_HEALTH = "delete from machine_health where machine_id = $1";
    SAVE_HEALTH = "insert into machine_health (machine_id, health_status, status_summary, has_latest_calamari, operating_system,
                       shell_name, shell_version, architecture, agent_version, checked_at)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                   on conflict (machine_id) do update set health_status = excluded.health_status,
                       status_summary = excluded.status_summary, has_latest_calamari = excluded.has_latest_calamari,
                       operating_system = excluded.operating_system, shell_name = excluded.shell_name,
                       shell_version = excluded.shell_version, architecture = excluded.architecture,
                       agent_version = excluded.agent_version, checked_at = excluded.checked_at";
}

/// A machine with what is kept beside its document.
#[derive(Debug, Clone)]
pub struct StoredMachine {
    /// The machine, its last health among its members.
    pub machine: Machine,
    /// Since when it is a tombstone; none: it is alive.
    pub deregistered: Option<Timestamp>,
}

/// What a health check found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// The verdict.
    pub status: domain::machine::HealthStatus,
    /// The verdict in words, with what to do about it.
    pub summary: String,
    /// Whether the machine holds the runner of this Server.
    pub has_latest_calamari: bool,
    /// The system, such as `Debian GNU/Linux 12`.
    pub operating_system: String,
    /// The shell, such as `Bash`.
    pub shell_name: String,
    /// The shell's version.
    pub shell_version: String,
    /// The processor, such as `x86_64`.
    pub architecture: String,
    /// The version of the agent.
    pub agent_version: String,
}

/// Adds a machine. `deregistration_mac` is of the token that may take it away again.
///
/// # Errors
/// [`crate::Error::Duplicate`] when a live machine of the space has the name.
pub async fn insert(
    session: &mut Session,
    machine: &Machine,
    deregistration_mac: Option<Vec<u8>>,
) -> Result<()> {
    session
        .execute(INSERT, values(machine, deregistration_mac)?)
        .await?;
    relate(session, machine).await
}

/// Replaces a machine; a tombstone comes back to life by it.
///
/// # Errors
/// As [`insert`].
pub async fn update(
    session: &mut Session,
    machine: &Machine,
    deregistration_mac: Option<Vec<u8>>,
) -> Result<()> {
    session
        .execute(UPDATE, values(machine, deregistration_mac)?)
        .await?;
    relate(session, machine).await
}

/// Removes a machine for good; false when there is none.
///
/// # Errors
/// When the database fails.
pub async fn delete(session: &mut Session, space: &SpaceId, id: &MachineId) -> Result<bool> {
    Ok(session
        .execute(DELETE, vec![space.as_str().into(), id.as_str().into()])
        .await?
        > 0)
}

/// Turns a live machine into a tombstone; false when it is none.
///
/// # Errors
/// When the database fails.
pub async fn bury(session: &mut Session, space: &SpaceId, id: &MachineId, now: i64) -> Result<bool> {
    Ok(session
        .execute(BURY, vec![space.as_str().into(), id.as_str().into(), now.into()])
        .await?
        > 0)
}

/// The live machines of a space by name.
///
/// # Errors
/// When the database fails.
pub async fn all(session: &mut Session, space: &SpaceId) -> Result<Vec<Machine>> {
    let rows = session.fetch_all(ALL, vec![space.as_str().into()]).await?;
    rows.iter()
        .map(|row| read(row).map(|stored| stored.machine))
        .collect()
}

/// The live machines of a space whose health was not looked at since a time, by name.
///
/// # Errors
/// When the database fails.
pub async fn not_checked_since(session: &mut Session, space: &SpaceId, time: i64) -> Result<Vec<Machine>> {
    let rows = session
        .fetch_all(NOT_CHECKED_SINCE, vec![space.as_str().into(), time.into()])
        .await?;
    rows.iter()
        .map(|row| read(row).map(|stored| stored.machine))
        .collect()
}

/// A live machine by id (in any letter case) or slug.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, space: &SpaceId, id_or_slug: &str) -> Result<Option<Machine>> {
    let values = vec![space.as_str().into(), id_or_slug.to_lowercase().into()];
    let row = session.fetch_optional(FIND, values).await?;
    row.map(|row| read(&row).map(|stored| stored.machine)).transpose()
}

/// The machines with this certificate: live ones first, then tombstones, the youngest first.
///
/// # Errors
/// When the database fails.
pub async fn by_thumbprint(
    session: &mut Session,
    space: &SpaceId,
    thumbprint: &str,
) -> Result<Vec<StoredMachine>> {
    let values = vec![space.as_str().into(), thumbprint.to_uppercase().into()];
    session
        .fetch_all(BY_THUMBPRINT, values)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The youngest tombstone of a name.
///
/// # Errors
/// When the database fails.
pub async fn tombstone_by_name(
    session: &mut Session,
    space: &SpaceId,
    name: &str,
) -> Result<Option<Machine>> {
    let values = vec![space.as_str().into(), name_key(name).into()];
    let row = session.fetch_optional(TOMBSTONE_BY_NAME, values).await?;
    row.map(|row| read(&row).map(|stored| stored.machine)).transpose()
}

/// The live machine whose deregistration token has this MAC, with its space.
///
/// # Errors
/// When the database fails.
pub async fn by_deregistration(session: &mut Session, mac: &[u8]) -> Result<Option<(MachineId, SpaceId)>> {
    let row = session
        .fetch_optional(BY_DEREGISTRATION, vec![mac.to_vec().into()])
        .await?;
    row.map(|row| {
        Ok((
            MachineId::from_text(row.text("id")?),
            SpaceId::from_text(row.text("space_id")?),
        ))
    })
    .transpose()
}

/// Every machine with a certificate, in all spaces and tombstones too: who may connect.
///
/// # Errors
/// When the database fails.
pub async fn trusted(session: &mut Session) -> Result<Vec<StoredMachine>> {
    session
        .fetch_all(TRUSTED, vec![])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The roles that live machines of a space hold, each once.
///
/// # Errors
/// When the database fails.
pub async fn roles(session: &mut Session, space: &SpaceId) -> Result<Vec<String>> {
    session
        .fetch_all(ROLES, vec![space.as_str().into()])
        .await?
        .iter()
        .map(|row| row.text("role"))
        .collect()
}

/// Stores what a health check found.
///
/// # Errors
/// When the database fails, or the machine is gone.
pub async fn save_health(session: &mut Session, id: &MachineId, health: &Health, now: i64) -> Result<()> {
    let values = vec![
        id.as_str().into(),
        health.status.name().into(),
        health.summary.as_str().into(),
        health.has_latest_calamari.into(),
        health.operating_system.as_str().into(),
        health.shell_name.as_str().into(),
        health.shell_version.as_str().into(),
        health.architecture.as_str().into(),
        health.agent_version.as_str().into(),
        now.into(),
    ];
    session.execute(SAVE_HEALTH, values).await.map(drop)
}

/// Forgets what health checks found, because another agent is behind the machine now.
///
/// # Errors
/// When the database fails.
pub async fn forget_health(session: &mut Session, id: &MachineId) -> Result<()> {
    session
        .execute(FORGET_HEALTH, vec![id.as_str().into()])
        .await
        .map(drop)
}

fn values(machine: &Machine, deregistration_mac: Option<Vec<u8>>) -> Result<Vec<Value>> {
    Ok(vec![
        machine.id.as_str().into(),
        machine.space_id.as_str().into(),
        machine.name.as_str().into(),
        name_key(&machine.name).into(),
        machine.slug.as_str().into(),
        machine.endpoint.thumbprint.clone().into(),
        machine.endpoint.uri.clone().into(),
        machine.is_disabled.into(),
        deregistration_mac.into(),
        document_text(machine)?.into(),
    ])
}

async fn relate(session: &mut Session, machine: &Machine) -> Result<()> {
    let id = machine.id.as_str();
    session.execute(FORGET_ENVIRONMENTS, vec![id.into()]).await?;
    for environment in &machine.environment_ids {
        session
            .execute(ADD_ENVIRONMENT, vec![id.into(), environment.as_str().into()])
            .await?;
    }
    session.execute(FORGET_ROLES, vec![id.into()]).await?;
    for role in &machine.roles {
        session
            .execute(
                ADD_ROLE,
                vec![id.into(), name_key(role).into(), role.as_str().into()],
            )
            .await?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<StoredMachine> {
    let mut machine: Machine = document_of(&row.text("document")?)?;
    if let Some(status) = row.optional_text("health_status")? {
        machine.health_status = status.parse().unwrap_or_default();
        machine.status_summary = row.text("status_summary")?;
        machine.has_latest_calamari = row.boolean("has_latest_calamari")?;
        machine.operating_system = row.text("operating_system")?;
        machine.shell_name = row.text("shell_name")?;
        machine.shell_version = row.text("shell_version")?;
        machine.architecture = row.text("architecture")?;
        let agent_version = row.text("agent_version")?;
        if !agent_version.is_empty() {
            let details = machine
                .endpoint
                .tentacle_version_details
                .get_or_insert_with(TentacleVersionDetails::default);
            details.version = Some(agent_version);
        }
    }
    Ok(StoredMachine {
        machine,
        deregistered: row.optional_integer("deregistered_at")?.map(Timestamp),
    })
}
