//! A Server and what an agent needs to find it.

use crate::client::{API_KEY, Client};
use crate::engine::{Container, Network, Run, agent_image, seconds, server_image};

/// A Server on a network of its own, with two environments and an administrator's key.
pub struct Stack {
    pub client: Client,
    pub server: Container,
    // Dropped last: nothing may be on it by then.
    pub network: Network,
}

impl Stack {
    /// A healthy one on the embedded database.
    pub fn new() -> Stack {
        Stack::with(|run| run)
    }

    /// The same with more options for the Server.
    pub fn with(options: impl FnOnce(Run) -> Run) -> Stack {
        Stack::on(Network::new(), options)
    }

    /// The same on a given network.
    pub fn on(network: Network, options: impl FnOnce(Run) -> Run) -> Stack {
        let server = options(server().on(&network).option("--network-alias=server")).start();
        server.healthy(seconds(30));
        let base = server.inspect("{{range .NetworkSettings.Networks}}http://{{.IPAddress}}:8080{{end}}");
        Stack {
            client: Client::at(&base, Some(API_KEY)),
            server,
            network,
        }
    }

    /// An agent that listens under its own name, which the network resolves.
    pub fn listening(&self, name: &str) -> Run {
        self.agent(name)
            .option(&format!("--hostname={name}"))
            .option(&format!("--network-alias={name}"))
    }

    /// An agent that polls.
    pub fn polling(&self, name: &str) -> Run {
        self.agent(name).env("ServerPort", "10943")
    }

    fn agent(&self, name: &str) -> Run {
        let run = Run::new(&agent_image())
            .on(&self.network)
            .env("ServerUrl", "http://server:8080");
        let run = run.env("ServerApiKey", API_KEY).env("TargetName", name);
        run.env("TargetEnvironment", "Dev").env("TargetRole", "web")
    }
}

/// A Server with a published portal, two environments and an administrator's key.
pub fn server() -> Run {
    let run = Run::new(&server_image())
        .publish(8080)
        .env("CREATE_ENVIRONMENTS", "Dev,Test");
    run.env("ADMIN_PASSWORD", "Corr3ct-horse")
        .env("ADMIN_API_KEY", API_KEY)
}
