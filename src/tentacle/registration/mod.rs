//! Telling a Server about this agent, and taking it out again (`tentacle-protocol.md` 7.4, `containers.md` 3.3, 3.4).

pub(crate) mod handshake;
pub(crate) mod lookup;
pub(crate) mod server_api;
pub(crate) mod state;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use self::lookup::Space;
use self::server_api::{ServerApi, link};
use self::state::{Given, RegistrationState};
use crate::failure::{Failure, REFUSED};

/// How often a name is tried again whose machine still answers.
const PAUSE: Duration = Duration::from_secs(3);

/// Targets or workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A deployment target: environments, roles, tenants.
    Target,
    /// A worker: pools.
    Worker,
}

/// How the Server reaches the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// It calls this address.
    Listening { uri: String, proxy: Option<String> },
    /// It waits for this subscription.
    Polling { subscription: String },
    /// Not at all.
    None,
}

/// What happens to a machine that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It is an error.
    Refuse,
    /// It is changed into this one.
    Force,
    /// Ours: the thumbprint decides, and a machine of the name that does not answer any more is taken over.
    TakeOver { even_if_it_answers: bool },
}

/// A registration.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) thumbprint: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) given: Given,
    pub(crate) existing: Existing,
    /// Nothing was asked for that is not registered already.
    pub(crate) keep_existing: bool,
    /// How long a name is tried again whose machine still answers.
    pub(crate) patience: Duration,
    pub(crate) home: PathBuf,
}

impl Kind {
    /// The collection of a space.
    pub(crate) fn path(self, space: &Space) -> String {
        match self {
            Kind::Target => space.path("Machines", "machines"),
            Kind::Worker => space.path("Workers", "workers"),
        }
    }
}

impl Registration {
    /// Looks everything up and writes the machine. Doing it again changes nothing.
    pub(crate) async fn register(&self, api: &ServerApi, space: &Space) -> Result<(), Failure> {
        let collection = self.kind.path(space);
        let known = self.find(api, &collection).await?;
        let last = RegistrationState::load(&self.home)?
            .filter(|last| {
                matches!(self.existing, Existing::TakeOver { .. })
                    && last.server == api.base()
                    && known
                        .as_ref()
                        .is_some_and(|machine| machine["Id"] == last.machine.as_str())
            })
            .map(|last| {
                if self.keep_existing {
                    self.given.clone()
                } else {
                    last.given
                }
            });
        let mut machine = self.template(space);
        if let (Value::Object(machine), Some(Value::Object(known))) = (&mut machine, known.clone()) {
            machine.extend(known);
        }
        self.fill(api, space, &mut machine, last.as_ref()).await?;
        let path = known
            .as_ref()
            .and_then(|known| link(known, "Self"))
            .unwrap_or(collection);
        let written = self.write(api, &path, known.is_none(), &machine).await?;
        self.remember(api, &written, &path)?;
        if let Some(path) = link(&written, "Self") {
            // as the original does; the machine is registered whether or not it can be read
            api.get(&path).await.ok();
        }
        Ok(())
    }

    /// The machine that this agent is, or shall become.
    async fn find(&self, api: &ServerApi, collection: &str) -> Result<Option<Value>, Failure> {
        if matches!(self.existing, Existing::TakeOver { .. }) {
            let mut own = lookup::by_thumbprint(api, collection, &self.thumbprint).await?;
            if !own.is_empty() {
                return Ok(Some(own.swap_remove(0)));
            }
        }
        let known = lookup::by_name(api, collection, &self.name).await?;
        if known.is_some() && self.existing == Existing::Refuse {
            return Err(Failure::with_code(
                REFUSED,
                format!(
                    "A machine with the name '{}' already exists on the Server at {}. Give another name, or --force to \
                     change that machine into this one.",
                    self.name,
                    api.base()
                ),
            ));
        }
        Ok(known)
    }

    /// A new machine, with every member that the original's library sends.
    fn template(&self, space: &Space) -> Value {
        let mut machine = match self.kind {
            Kind::Target => json!({
                "EnvironmentIds": [], "Roles": [], "TenantedDeploymentParticipation": "Untenanted",
                "TenantIds": [], "TenantTags": [],
            }),
            Kind::Worker => json!({ "WorkerPoolIds": [] }),
        };
        let common = json!({
            "Name": self.name, "SpaceId": space.id, "Thumbprint": null, "Uri": null, "IsDisabled": false,
            "MachinePolicyId": null, "Status": "Online", "HealthStatus": "Healthy", "HasLatestCalamari": false,
            "StatusSummary": null, "IsInProcess": false, "Endpoint": null, "OperatingSystem": null,
            "OperatingSystemVersion": null, "ShellName": null, "ShellVersion": null, "Architecture": null, "Slug": null,
            "SkipInitialHealthCheck": false, "Links": {},
        });
        if let (Value::Object(machine), Value::Object(common)) = (&mut machine, common) {
            machine.extend(common);
        }
        machine
    }

    /// Puts in what was asked for. What was asked for last time, too, is left as somebody may have changed it since.
    async fn fill(
        &self,
        api: &ServerApi,
        space: &Space,
        machine: &mut Value,
        last: Option<&Given>,
    ) -> Result<(), Failure> {
        let given = &self.given;
        machine["Name"] = json!(self.name);
        let proxy = match &self.endpoint {
            Endpoint::Listening {
                proxy: Some(name), ..
            } => Some(lookup::named(api, &space.path("Proxies", "proxies"), "proxy", name).await?),
            _ => None,
        };
        if let Some(policy) = given
            .policy
            .as_deref()
            .filter(|_| last.is_none_or(|last| last.policy != given.policy))
        {
            let path = space.path("MachinePolicies", "machinepolicies");
            machine["MachinePolicyId"] = json!(lookup::named(api, &path, "machine policy", policy).await?);
        }
        match self.kind {
            Kind::Target => self.fill_target(api, space, machine, last).await?,
            Kind::Worker => {
                if last.is_none_or(|last| last.pools != given.pools) {
                    let path = space.path("WorkerPools", "workerpools");
                    machine["WorkerPoolIds"] =
                        json!(lookup::references(api, &path, "worker pool", &given.pools).await?);
                }
            }
        }
        machine["Endpoint"] = self.endpoint(proxy.as_deref());
        if let Existing::TakeOver { even_if_it_answers } = self.existing {
            machine["TakeOver"] = json!(if even_if_it_answers { "Always" } else { "IfOffline" });
        }
        Ok(())
    }

    async fn fill_target(
        &self,
        api: &ServerApi,
        space: &Space,
        machine: &mut Value,
        last: Option<&Given>,
    ) -> Result<(), Failure> {
        let given = &self.given;
        if !given.tenant_tags.is_empty() {
            lookup::tenant_tags(api, space, &given.tenant_tags).await?;
        }
        if last.is_none_or(|last| last.environments != given.environments) {
            machine["EnvironmentIds"] = json!(lookup::environments(api, space, &given.environments).await?);
        }
        if last.is_none_or(|last| last.roles != given.roles) {
            machine["Roles"] = json!(given.roles);
        }
        if last.is_none_or(|last| last.participation != given.participation) {
            machine["TenantedDeploymentParticipation"] =
                json!(given.participation.as_deref().unwrap_or("Untenanted"));
        }
        if last.is_none_or(|last| last.tenants != given.tenants) {
            let ids = if given.tenants.is_empty() {
                Vec::new()
            } else {
                lookup::references(api, &space.path("Tenants", "tenants"), "tenant", &given.tenants).await?
            };
            machine["TenantIds"] = json!(ids);
        }
        if last.is_none_or(|last| last.tenant_tags != given.tenant_tags) {
            machine["TenantTags"] = json!(given.tenant_tags);
        }
        Ok(())
    }

    fn endpoint(&self, proxy: Option<&str>) -> Value {
        let mut endpoint = match &self.endpoint {
            Endpoint::Listening { uri, .. } => json!({
                "CommunicationStyle": "TentaclePassive", "ProxyId": proxy, "Thumbprint": self.thumbprint, "Uri": uri,
            }),
            Endpoint::Polling { subscription } => json!({
                "CommunicationStyle": "TentacleActive", "Thumbprint": self.thumbprint, "Uri": subscription,
            }),
            Endpoint::None => return Value::Null,
        };
        let rest = json!({
            "TentacleVersionDetails": null, "CertificateSignatureAlgorithm": null, "Id": null, "LastModifiedOn": null,
            "LastModifiedBy": null, "Links": {},
        });
        if let (Value::Object(endpoint), Value::Object(rest)) = (&mut endpoint, rest) {
            endpoint.extend(rest);
        }
        endpoint
    }

    async fn write(
        &self,
        api: &ServerApi,
        path: &str,
        is_new: bool,
        machine: &Value,
    ) -> Result<Value, Failure> {
        let give_up = Instant::now() + self.patience;
        loop {
            match api.write(path, is_new, machine).await {
                Err(failure) if failure.may_pass && Instant::now() + PAUSE < give_up => {
                    tokio::time::sleep(PAUSE).await
                }
                other => return other,
            }
        }
    }

    fn remember(&self, api: &ServerApi, written: &Value, path: &str) -> Result<(), Failure> {
        let state = RegistrationState {
            server: api.base().to_owned(),
            machine: written["Id"].as_str().unwrap_or_default().to_owned(),
            path: link(written, "Self").unwrap_or_else(|| path.to_owned()),
            given: self.given.clone(),
        };
        state.save(&self.home)?;
        state::save_token(&self.home, written["DeregistrationToken"].as_str())
    }
}
