//! A package for each convention.

use crate::pack::Item;
use crate::place::Place;

fn succeeds(mut place: Place, items: &[Item<'_>], name: &str) {
    let outcome = place.deploy("Acme.Web.1.2.3.zip", items);
    assert_eq!(outcome.code, 0, "{}\n{}", outcome.output, outcome.error);
    place.is_golden(&format!("convention-{name}"));
}

#[test]
fn packaged_scripts_of_every_stage() {
    let items = [
        Item::File(
            "predeploy.sh",
            "echo pre >> order.txt; set_octopusvariable Last pre",
        ),
        Item::File(
            "Deploy.sh",
            "echo deploy >> order.txt; set_octopusvariable Last deploy",
        ),
        Item::File(
            "PostDeploy.py",
            "open('order.txt', 'a').write('post in python\\n'); set_octopusvariable('Last', 'post')",
        ),
        Item::File("sub/Deploy.sh", "exit 9"),
        Item::File("DeployFailed.sh", "exit 9"),
    ];
    succeeds(Place::new(), &items, "packaged-scripts");
}

#[test]
fn scripts_in_a_package_that_are_switched_off() {
    let place = Place::new().with("Octopus.Action.Package.RunScripts", "False");
    succeeds(
        place,
        &[Item::File("Deploy.sh", "exit 9")],
        "packaged-scripts-off",
    );
}

#[test]
fn configured_scripts_of_every_stage() {
    let mut place = Place::new().feature("CustomScripts");
    for stage in ["PreDeploy", "Deploy", "PostDeploy"] {
        place.set(
            &format!("Octopus.Action.CustomScripts.{stage}.sh"),
            &format!("echo '{stage} for #{{Octopus.Machine.Name}}' >> order.txt"),
        );
    }
    let items = [
        Item::File("PreDeploy.sh", "echo packaged pre >> order.txt"),
        Item::File("Deploy.sh", "echo packaged deploy >> order.txt"),
    ];
    succeeds(place, &items, "configured-scripts");
}

#[test]
fn scripts_that_stay() {
    let place = Place::new()
        .feature("CustomScripts")
        .with("OctopusDeleteScriptsOnCleanup", "False")
        .with("Octopus.Action.CustomScripts.Deploy.sh", "true");
    succeeds(place, &[Item::File("Deploy.sh", "true")], "scripts-stay");
}

#[test]
fn a_script_that_skips_the_rest() {
    let items = [
        Item::File(
            "PreDeploy.sh",
            "set_octopusvariable Octopus.Action.SkipRemainingConventions True",
        ),
        Item::File("Deploy.sh", "exit 9"),
    ];
    succeeds(Place::new(), &items, "skip-the-rest");
}

#[test]
fn a_script_that_chooses_the_folder() {
    let items = [
        Item::File(
            "PreDeploy.sh",
            "set_octopusvariable Octopus.Action.Package.CustomInstallationDirectory \"$(get_octopusvariable Octopus.Tentacle.Agent.ApplicationDirectoryPath)/../site\"",
        ),
        Item::Program("run", "#!/bin/sh"),
        Item::Link("alias", "run"),
    ];
    succeeds(Place::new().feature("CustomDirectory"), &items, "custom-folder");
}

#[test]
fn a_tenant_has_a_folder_of_its_own() {
    let place = Place::new().with("Octopus.Deployment.Tenant.Name", "A/B Inc.");
    succeeds(place, &[Item::File("a.txt", "A")], "tenant");
}

#[test]
fn a_failing_script_is_rolled_back() {
    let mut place = Place::new();
    let items = [
        Item::File("Deploy.sh", "fail_step 'not today'"),
        Item::File("PostDeploy.sh", "exit 9"),
        Item::File(
            "DeployFailed.sh",
            "get_octopusvariable OctopusLastErrorMessage > why.txt; set_octopusvariable Failed yes",
        ),
    ];
    assert_eq!(place.deploy("Acme.Web.1.2.3.zip", &items).code, 1);
    place.is_golden("convention-deploy-failed");
}

#[test]
fn nginx() {
    let mut place = Place::new()
        .feature("Nginx")
        .with("Octopus.Action.Nginx.Server.HostName", "acme.example")
        .with("Octopus.Action.Nginx.ConfigurationsDirectory", "<work>/site/conf.d")
        .with("Octopus.Action.Nginx.CertificatesDirectory", "<work>/site/ssl")
        .with("Certificate.SubjectCommonName", "acme.example")
        .with("Certificate.CertificatePem", "certificate")
        .with("Certificate.ChainPem", "chain")
        .with("Certificate.PrivateKeyPem", "key")
        .with(
            "Octopus.Action.Nginx.Server.Bindings",
            r#"[{"protocol":"http","port":"80","ipAddress":"*","enabled":true},
                {"protocol":"https","port":"443","ipAddress":"*","certificateVariable":"Certificate","securityProtocols":["TLSv1.3"],"enabled":true}]"#,
        )
        .with(
            "Octopus.Action.Nginx.Server.Locations",
            r##"[{"path":"/","directives":"[{\"root\":\"#{Octopus.Action.Package.InstallationDirectoryPath}\"}]","headers":"{}"},
                {"path":"/api","reverseProxyUrl":"http://127.0.0.1:5000","directives":"[]","headers":"{}","reverseProxyHeaders":"{\"Host\":\"$host\"}","reverseProxyDirectives":"{}"}]"##,
        );
    place.write("site/conf.d/Acme.Web.conf.d/left over", "goes");
    place.write("site/ssl/other", "stays");
    place.program("sudo", "#!/bin/sh\n[ \"$1\" = -n ] && shift\nexec \"$@\"\n");
    place.program("nginx", "#!/bin/sh\nexit 0\n");
    succeeds(place, &[Item::File("index.html", "hi")], "nginx");
}

#[test]
fn templates_in_files() {
    let place = Place::new()
        .feature("SubstituteInFiles")
        .with(
            "Octopus.Action.SubstituteInFiles.TargetFiles",
            "*.conf\nsub/**/*.xml",
        )
        .with("Colour", "żółty");
    let items = [
        Item::File(
            "app.conf",
            "machine=#{Octopus.Machine.Name}\r\ncolour=#{Colour}\r\n#{Unknown}\r\n",
        ),
        Item::File("sub/deep/a.xml", "<c>#{Colour}</c>"),
        Item::File("other.txt", "#{Colour}"),
    ];
    succeeds(place, &items, "substitute-in-files");
}

#[test]
fn structured_configuration() {
    let place = Place::new()
        .feature("JsonConfigurationVariables")
        .with(
            "Octopus.Action.Package.JsonConfigurationVariablesTargets",
            "*.json\n*.yaml\n*.properties",
        )
        .with("Db:Port", "6432")
        .with("Db:Host", "db.#{Octopus.Machine.Name}")
        .with("db.host", "db01");
    let items = [
        Item::File(
            "appsettings.json",
            "{\n  // kept\n  \"Db\": { \"Port\": 5432, \"Host\": \"localhost\" },\n  \"Other\": 1.50\n}\n",
        ),
        Item::File(
            "app.yaml",
            "# kept\nDb:\n    Port: 5432   # the port\n    Host: 'localhost'\n",
        ),
        Item::File("app.properties", "! kept\ndb.host = localhost\ndb.port=5432\n"),
    ];
    succeeds(place, &items, "structured-configuration");
}

const WEB_CONFIG: &str = "<?xml version=\"1.0\"?>\r\n<configuration>\r\n  <!-- kept -->\r\n  <appSettings>\r\n    <add key='Colour' value='red' />\r\n    <add key='Other' value='kept' />\r\n  </appSettings>\r\n  <system.web>\r\n    <compilation debug='true' />\r\n  </system.web>\r\n</configuration>\r\n";

#[test]
fn xml_transforms() {
    let place = Place::new().feature("ConfigurationTransforms").with(
        "Octopus.Action.Package.AutomaticallyRunConfigurationTransformationFiles",
        "True",
    );
    let release = "<configuration xmlns:xdt=\"http://schemas.microsoft.com/XML-Document-Transform\"><system.web><compilation xdt:Transform=\"RemoveAttributes(debug)\" /></system.web></configuration>";
    let production = "<configuration xmlns:xdt=\"http://schemas.microsoft.com/XML-Document-Transform\"><appSettings><add key=\"Colour\" value=\"green\" xdt:Transform=\"SetAttributes\" xdt:Locator=\"Match(key)\" /></appSettings></configuration>";
    let items = [
        Item::File("web.config", WEB_CONFIG),
        Item::File("web.Release.config", release),
        Item::File("web.Production.config", production),
        Item::File("web.Test.config", "<configuration/>"),
    ];
    succeeds(place, &items, "xml-transforms");
}

#[test]
fn dotnet_settings() {
    let place = Place::new()
        .feature("ConfigurationVariables")
        .with(
            "Octopus.Action.Package.AutomaticallyUpdateAppSettingsAndConnectionStrings",
            "True",
        )
        .with("Colour", "green & #{Octopus.Machine.Name}");
    succeeds(place, &[Item::File("web.config", WEB_CONFIG)], "dotnet-settings");
}

#[test]
fn structured_xml() {
    let place = Place::new()
        .feature("JsonConfigurationVariables")
        .with(
            "Octopus.Action.Package.JsonConfigurationVariablesTargets",
            "*.xml",
        )
        .with("/configuration/appSettings/add[@key='Colour']/@value", "green");
    succeeds(place, &[Item::File("web.xml", WEB_CONFIG)], "structured-xml");
}

#[test]
fn all_of_them_in_their_order() {
    let xdt = "<c xmlns:xdt=\"http://schemas.microsoft.com/XML-Document-Transform\"><appSettings><add key=\"From\" value=\"#{Octopus.Machine.Name}\" xdt:Transform=\"Insert\" /></appSettings></c>";
    let place = Place::new()
        .feature("CustomScripts")
        .feature("SubstituteInFiles")
        .feature("ConfigurationTransforms")
        .feature("ConfigurationVariables")
        .feature("JsonConfigurationVariables")
        .feature("CustomDirectory")
        .with("Octopus.Action.SubstituteInFiles.TargetFiles", "*.config")
        .with(
            "Octopus.Action.Package.AutomaticallyRunConfigurationTransformationFiles",
            "True",
        )
        .with(
            "Octopus.Action.Package.AutomaticallyUpdateAppSettingsAndConnectionStrings",
            "True",
        )
        .with(
            "Octopus.Action.Package.JsonConfigurationVariablesTargets",
            "*.config",
        )
        .with(
            "Octopus.Action.Package.CustomInstallationDirectory",
            "<work>/site",
        )
        .with(
            "Octopus.Action.CustomScripts.Deploy.sh",
            "cp app.config seen-by-deploy.txt",
        )
        .with("To", "set by the .NET settings")
        .with("/c/appSettings/add[@key='By']/@value", "structured");
    let items = [
        Item::File(
            "app.config",
            "<c><appSettings><add key=\"To\" value=\"\"/><add key=\"By\" value=\"\"/></appSettings></c>",
        ),
        Item::File("app.Release.config", xdt),
        Item::File("PreDeploy.sh", "cp app.config seen-by-predeploy.txt"),
    ];
    succeeds(place, &items, "everything");
}

#[test]
fn folders_keep_their_modes_on_the_way_to_the_custom_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut place = Place::new().with(
        "Octopus.Action.Package.CustomInstallationDirectory",
        "<work>/site",
    );
    let outcome = place.deploy(
        "Acme.Web.1.0.0.zip",
        &[
            Item::File("index.html", "first"),
            Item::File(
                "PreDeploy.sh",
                "mkdir private closed && echo x > closed/x && chmod 700 private && chmod 500 closed",
            ),
        ],
    );
    assert_eq!(outcome.code, 0, "{}", outcome.output);
    let mode = |name: &str| {
        let found = std::fs::metadata(place.path(name)).expect(name);
        found.permissions().mode() & 0o777
    };
    assert_eq!(
        (mode("site"), mode("site/private"), mode("site/closed")),
        (0o755, 0o700, 0o500)
    );
    assert_eq!(place.text("site/closed/x"), "x\n");
}
