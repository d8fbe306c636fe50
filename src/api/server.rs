//! The Server itself: status, certificate, capabilities, authentication (`rest-api.md` 1.13, 4.13, 4.16, 5.25).

use std::net::SocketAddr;

use application::Error;
use axum::Router;
use axum::extract::{ConnectInfo, Path};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use domain::permission::Permission;
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Anonymous, Answer, Call};
use crate::parameter::Parameters;
use crate::resource::ok;

/// The names that the TypeScript client looks for.
const CAPABILITIES: &[&str] = &[
    "CreateDeploymentTenantedCommandV1",
    "CreateDeploymentUntenantedCommandV1",
    "CreateReleaseCommandV1",
    "CreateRunbookRunCommandV1",
    "GetAllSpacesRequest",
    "GetEnvironmentsRequestV2",
];

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/authentication", get(authentication))
        .route(
            "/api/authentication/checklogininitiated",
            post(check_login_initiated),
        )
        .route("/api/capabilities", get(capabilities))
        .route("/api/configuration/certificates", get(certificates))
        .route("/api/configuration/certificates/{id}", get(certificate))
        .route("/api/certificates/certificate-global", get(global_certificate))
        .route("/api/configuration/feature-toggles", get(feature_toggles))
        .route("/api/mantle/remote-address", get(remote_address))
        .route("/api/octopusservernodes/ping", get(ping))
        .route("/api/serverstatus", get(status))
        .route("/api/serverstatus/health", get(health))
        .route("/api/serverstatus/system-info", get(system_info))
        .route("/api/serverstatus/timezones", get(time_zones))
}

async fn authentication(_: Anonymous) -> Answer {
    Ok(ok(json!({
        "Id": "Authentication",
        "AuthenticationProviders": [{
            "Name": "Username / Password",
            "IdentityType": "Guest",
            "FormsLoginEnabled": true,
            "CSSLinks": [],
            "JavascriptLinks": [],
            "Links": {},
        }],
        "AutoLoginEnabled": false,
        "AnyAuthenticationProvidersSupportPasswordManagement": true,
        "Links": { "Self": "/api/authentication" },
    })))
}

async fn check_login_initiated(_: Anonymous) -> Answer {
    Ok(ok(json!({ "WasExternalLoginInitiated": false })))
}

async fn capabilities(_: Call) -> Answer {
    Ok(ok(
        json!({ "Capabilities": CAPABILITIES, "Links": { "Self": "/api/capabilities" } }),
    ))
}

async fn feature_toggles(_: Call, parameters: Parameters) -> Answer {
    let toggles: Vec<Value> = parameters
        .list("name")
        .into_iter()
        .map(|name| json!({ "Name": name, "IsEnabled": false }))
        .collect();
    Ok(ok(json!({ "FeatureToggles": toggles })))
}

fn render_certificate(call: &Call) -> Value {
    json!({
        "Id": "certificate-global",
        "Name": "Octopus Server",
        "Thumbprint": call.context.server_thumbprint,
        "SignatureAlgorithm": "sha256RSA",
        "Links": {
            "Self": "/api/configuration/certificates/certificate-global",
            "PublicCer": "/api/configuration/certificates/certificate-global/public-cer",
        },
    })
}

async fn certificates(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let list = application::List::cut(vec![render_certificate(&call)], slice);
    Ok(ok(crate::resource::page(
        "CertificateConfiguration",
        "/api/configuration/certificates",
        "",
        slice,
        &list,
    )))
}

async fn certificate(call: Call, Path(id): Path<String>) -> Answer {
    if id.eq_ignore_ascii_case("certificate-global") {
        return Ok(ok(render_certificate(&call)));
    }
    Err(Error::not_found("certificate", &id).into())
}

async fn global_certificate(call: Call) -> Answer {
    Ok(ok(render_certificate(&call)))
}

/// The address the Server sees, for agents whose public name is to be that (`containers.md` 3.2).
async fn remote_address(_: Call, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Answer {
    Ok(ok(json!({ "Address": peer.ip().to_canonical().to_string() })))
}

/// 418 says draining, which load balancers of the field count as alive.
async fn ping(call: Anonymous) -> Answer {
    let draining = call.context.draining.load(std::sync::atomic::Ordering::Relaxed);
    let status = if draining {
        StatusCode::IM_A_TEAPOT
    } else {
        StatusCode::OK
    };
    let body =
        json!({ "Name": call.context.node_name, "IsInMaintenanceMode": false, "IsDraining": draining });
    Ok((status, axum::Json(body)).into_response())
}

async fn status(call: Call) -> Answer {
    call.actor.require(Permission::SpaceView)?;
    Ok(ok(json!({
        "Id": "ServerStatus",
        "IsDatabaseEncrypted": false,
        "IsMajorMinorUpgrade": false,
        "IsInMaintenanceMode": false,
        "IsPotentialClone": false,
        "IsUpgradeAvailable": false,
        "MaintenanceExpires": null,
        "MaximumAvailableVersion": null,
        "MaximumAvailableVersionCoveredByLicense": null,
        "Links": {
            "Self": "/api/serverstatus",
            "SystemInfo": "/api/serverstatus/system-info",
            "ExtensionStats": "/api/serverstatus/extensions",
            "RecentLogs": "/api/serverstatus/logs{?skip,take,includeDetail}",
            "SystemReport": "/api/serverstatus/system-report",
        },
    })))
}

/// Operating normally means that the database answers.
async fn health(call: Anonymous) -> Answer {
    let answers = call.context.database.read().await.is_ok();
    let draining = call.context.draining.load(std::sync::atomic::Ordering::Relaxed);
    let description = match (answers, draining) {
        (false, _) => "The database does not answer.",
        (true, true) => "This node takes no more tasks.",
        (true, false) => "The Server is operating normally.",
    };
    Ok(ok(json!({
        "IsOperatingNormally": answers,
        "Description": description,
        "IsEntireClusterReadOnly": false,
        "IsEntireClusterDrainingTasks": draining,
        "IsCompliantWithLicense": true,
    })))
}

async fn system_info(call: Call) -> Answer {
    call.actor.require(Permission::SpaceView)?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(ok(json!({
        "Version": call.context.product_version,
        "ClrVersion": "none",
        "OSVersion": std::env::consts::OS,
        "Uptime": domain::TimeSpan(call.context.clock.now() - call.context.started_at),
        "WorkingSetBytes": working_set(),
        "ThreadCount": threads,
        "MinThreadPoolCount": threads,
        "Links": { "Self": "/api/serverstatus/system-info" },
    })))
}

/// Resident memory in bytes, as the kernel tells it.
fn working_set() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap_or(1)
        * 1024
}

async fn time_zones(_: Call) -> Answer {
    Ok(ok(
        json!([{ "Id": "UTC", "Name": "(UTC) Coordinated Universal Time", "IsLocal": true }]),
    ))
}
