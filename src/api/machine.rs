//! Deployment targets (`rest-api.md` 4.12, 5.14).

use application::machine::{self, MachineFilter, Registered, TakeOver};
use application::{Error, List, Slice};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use domain::machine::Machine;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::error::Failure;
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{created, deleted, ok, page, resource};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/machines", get(list).post(create))
        .route("/api/machines/all", get(all))
        .route("/api/machines/discover", get(discover))
        .route("/api/machines/operatingsystem/names/all", get(operating_systems))
        .route("/api/machines/operatingsystem/shells/all", get(shells))
        .route("/api/machines/{id}", get(one).put(update).delete(remove))
        .route("/api/machines/{id}/connection", get(connection))
        .route("/api/machineroles/all", get(roles))
}

fn filter(parameters: &Parameters) -> Result<MachineFilter, Failure> {
    Ok(MachineFilter {
        usual: parameters.filter(),
        roles: parameters.list("roles"),
        environment_ids: parameters.list("environmentids"),
        health_statuses: parameters.list("healthstatuses"),
        communication_styles: parameters.list("commstyles"),
        is_disabled: parameters.boolean("isdisabled")?,
        thumbprint: parameters.text("thumbprint"),
    })
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let machines = machine::list(
        &call.context,
        &call.actor,
        &call.space,
        &filter(&parameters)?,
        slice,
    )
    .await?;
    let path = format!("{}/machines", call.base());
    let list = List {
        items: machines
            .items
            .iter()
            .map(|machine| render(machine, &call))
            .collect(),
        total: machines.total,
    };
    Ok(ok(page("Machine", &path, &parameters.others(), slice, &list)))
}

async fn all(call: Call, parameters: Parameters) -> Answer {
    let filter = filter(&parameters)?;
    let machines = machine::list(&call.context, &call.actor, &call.space, &filter, Slice::ALL).await?;
    Ok(ok(machines
        .items
        .iter()
        .map(|machine| render(machine, &call))
        .collect()))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    let machine = machine::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&machine, &call)))
}

/// A machine as a client sends it, and what only our agents add.
#[derive(Deserialize)]
struct Registration {
    #[serde(rename = "TakeOver", default)]
    take_over: Option<String>,
    #[serde(flatten)]
    machine: Machine,
}

/// What only the Server says of a machine, and what clients send back with the rest of it. A token that came
/// back would be kept, and shown to everybody.
const SAID_BY_THE_SERVER: &[&str] = &["DeregistrationToken", "Status"];

impl Registration {
    fn split(mut self) -> Result<(Machine, Option<TakeOver>), Failure> {
        let take_over = self.take_over()?;
        self.machine.extra.0.retain(|name, _| {
            !SAID_BY_THE_SERVER
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        });
        Ok((self.machine, take_over))
    }

    fn take_over(&self) -> Result<Option<TakeOver>, Failure> {
        match self.take_over.as_deref() {
            None | Some("") => Ok(None),
            Some(word) if word.eq_ignore_ascii_case("IfOffline") => Ok(Some(TakeOver::IfOffline)),
            Some(word) if word.eq_ignore_ascii_case("Always") => Ok(Some(TakeOver::Always)),
            Some(word) => {
                Err(Error::invalid(format!("TakeOver must be IfOffline or Always, not '{word}'.")).into())
            }
        }
    }
}

async fn create(call: Call, Body(body): Body<Registration>) -> Answer {
    let (machine, take_over) = body.split()?;
    let registered = machine::register(&call.context, &call.actor, &call.space, machine, take_over).await?;
    let value = render_registered(&registered, &call);
    Ok(if registered.is_new {
        created(value)
    } else {
        (StatusCode::OK, axum::Json(value)).into_response()
    })
}

async fn update(call: Call, Path(id): Path<String>, Body(body): Body<Registration>) -> Answer {
    let (machine, take_over) = body.split()?;
    let registered =
        machine::update(&call.context, &call.actor, &call.space, &id, machine, take_over).await?;
    Ok(ok(render_registered(&registered, &call)))
}

async fn remove(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let last = parameters.boolean("final")?.unwrap_or(false);
    machine::remove(&call.context, &call.actor, &call.space, &id, last).await?;
    Ok(deleted())
}

async fn discover(call: Call, parameters: Parameters) -> Answer {
    let host = parameters
        .text("host")
        .ok_or_else(|| Error::invalid("Name the host to look at: ?host=…&port=10933."))?;
    let port = parameters.number("port")?.unwrap_or(10933);
    let port = u16::try_from(port).map_err(|_| Error::invalid(format!("{port} is not a port number.")))?;
    let machine = machine::discover(&call.context, &call.actor, &host, port).await?;
    Ok(ok(resource(&machine, vec![])))
}

async fn connection(call: Call, Path(id): Path<String>) -> Answer {
    let machine = machine::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(json!({
        "Id": machine.id,
        "MachineId": machine.id,
        "Status": machine.status(),
        "CurrentTentacleVersion": machine.endpoint.tentacle_version_details.as_ref().and_then(|known| known.version.clone()),
        "Logs": [],
        "Links": { "Self": format!("{}/machines/{}/connection", call.base(), machine.id) },
    })))
}

async fn roles(call: Call) -> Answer {
    Ok(ok(json!(
        machine::roles(&call.context, &call.actor, &call.space).await?
    )))
}

async fn operating_systems(call: Call) -> Answer {
    distinct(&call, |machine| machine.operating_system.clone()).await
}

async fn shells(call: Call) -> Answer {
    distinct(&call, |machine| machine.shell_name.clone()).await
}

async fn distinct(call: &Call, member: fn(&Machine) -> String) -> Answer {
    let everything = MachineFilter::default();
    let machines = machine::list(&call.context, &call.actor, &call.space, &everything, Slice::ALL).await?;
    let mut words: Vec<String> = machines
        .items
        .iter()
        .map(member)
        .filter(|word| !word.is_empty())
        .collect();
    words.sort();
    words.dedup();
    Ok(ok(json!(words)))
}

fn render(machine: &Machine, call: &Call) -> Value {
    let at = format!("{}/machines/{}", call.base(), machine.id);
    let mut value = resource(
        machine,
        vec![
            ("Self", at.clone()),
            ("Connection", format!("{at}/connection")),
            ("TasksTemplate", format!("{at}/tasks{{?skip,take,type}}")),
        ],
    );
    value["Status"] = Value::String(machine.status().to_string());
    value
}

/// The token is in the answer to the registration and in no other.
fn render_registered(registered: &Registered, call: &Call) -> Value {
    let mut value = render(&registered.machine, call);
    if let Some(token) = &registered.deregistration_token {
        value["DeregistrationToken"] = Value::String(token.expose().to_string());
    }
    value
}
