// Drives a running Server with the official TypeScript client, from sign-in to a deployment.
//
// It prints a line for each thing done and ends with 1 when a thing could not be done or was not as expected.
// SERVER_URL and API_KEY say where and as whom.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import octopus from "@octopusdeploy/api-client";

// How long a deployment may take, and how often its task is looked at, in milliseconds.
const PATIENCE = 60_000;
const PAUSE = 200;

const logger = { debug() {}, info() {}, warn: console.warn, error: console.error };

// What the steps learn and hand on.
const story = {};

const steps = [
    ["sign in with the API key", signIn],
    ["refuse a key that does not exist", refuseStranger],
    ["find the space", findSpace],
    ["list environments", listEnvironments],
    ["make, rename and delete an environment", changeEnvironment],
    ["find the lifecycle by name", findLifecycle],
    ["make a project group", makeProjectGroup],
    ["make a project", makeProject],
    ["find the project in every way", findProject],
    ["pack and push a package", pushPackage],
    ["set the deployment process", setProcess],
    ["create a release", createRelease],
    ["read the releases", readReleases],
    ["list what is not there yet", listEmpty],
    ["deploy", deploy],
    ["read the tasks", readTasks],
    ["wait for the task", waitForTask],
    ["cancel a task", cancelTask],
    ["get errors that tell", getErrors],
    ["delete what was made", deleteAll],
];

// One run shows all that is wrong: the story goes on after a step that failed, but not without a client.
const failed = [];
for (const [name, step] of steps) {
    try {
        console.log(`done: ${name}: ${await step()}`);
    } catch (error) {
        console.log(`FAILED: ${name}: ${error.stack ?? JSON.stringify(error)}`);
        failed.push(name);
        if (!story.client) break;
    }
}
if (failed.length > 0) {
    console.error(`${failed.length} of ${steps.length} steps failed: ${failed.join(", ")}`);
    process.exitCode = 1;
} else {
    console.log(`all ${steps.length} steps done`);
}

function connect(apiKey) {
    return octopus.Client.create({
        userAgentApp: "client-story",
        instanceURL: process.env.SERVER_URL,
        apiKey,
        logging: logger,
    });
}

async function signIn() {
    story.client = await connect(process.env.API_KEY);
    const server = await story.client.getServerInformation();
    assert.ok(server.installationId);
    const me = await octopus.userGetCurrent(story.client);
    assert.equal(me.Username, "admin");
    return `${me.Username} at ${server.version}`;
}

async function refuseStranger() {
    const error = await refusal(async () => octopus.userGetCurrent(await connect("API-NOBODYHASTHISKEYATALL")));
    assert.equal(error.StatusCode, 401);
    return error.ErrorMessage;
}

async function findSpace() {
    const spaces = new octopus.SpaceRepository(story.client);
    const found = await spaces.list({ partialName: "Default" });
    story.space = found.Items.find((space) => space.Name === "Default");
    assert.ok(story.space);
    assert.equal((await spaces.get(story.space.Id)).Name, "Default");
    assert.equal(await octopus.resolveSpaceId(story.client, "Default"), story.space.Id);
    return story.space.Id;
}

async function listEnvironments() {
    const environments = new octopus.EnvironmentRepository(story.client, "Default");
    const all = await environments.list({ skip: 0, take: octopus.BasicRepository.TakeAll });
    story.environment = all.Items.find((environment) => environment.Name === "Development");
    assert.ok(story.environment);
    assert.equal(all.TotalResults, all.Items.length);
    const some = await environments.list({ ids: all.Items.map((environment) => environment.Id), take: 50 });
    assert.equal(some.Items.length, all.Items.length);
    const second = new octopus.EnvironmentV2Repository(story.client, "Default");
    const typed = await second.list({ ids: [story.environment.Id], skip: 0, take: 1 });
    assert.equal(typed.Items[0].Name, "Development");
    assert.equal((await environments.getEnvironmentByName("Development")).Id, story.environment.Id);
    return `${all.Items.length}, Development is ${story.environment.Id}`;
}

async function changeEnvironment() {
    const environments = new octopus.EnvironmentRepository(story.client, "Default");
    const made = await environments.create({ Name: "TypeScript staging" });
    made.Name = "TypeScript staging 2";
    assert.equal((await environments.modify(made)).Name, "TypeScript staging 2");
    await environments.del(made);
    assert.equal((await refusal(() => environments.get(made.Id))).StatusCode, 404);
    return made.Id;
}

async function findLifecycle() {
    const lifecycles = new octopus.LifecycleRepository(story.client, "Default");
    const found = await lifecycles.list({ partialName: "Default Lifecycle" });
    assert.equal(found.Items.length, 1);
    story.lifecycle = await lifecycles.get(found.Items[0].Id);
    return story.lifecycle.Id;
}

async function makeProjectGroup() {
    const groups = new octopus.ProjectGroupRepository(story.client, "Default");
    story.group = await groups.create({ Name: "TypeScript group" });
    const found = await groups.list({ partialName: "TypeScript" });
    assert.deepEqual(found.Items.map((group) => group.Id), [story.group.Id]);
    return story.group.Id;
}

async function makeProject() {
    const projects = new octopus.ProjectRepository(story.client, "Default");
    const wanted = octopus.NewProject("TypeScript Fire Project", story.group, story.lifecycle);
    story.project = await projects.create(wanted);
    assert.equal(story.project.Slug, "typescript-fire-project");
    story.project.ProjectConnectivityPolicy.AllowDeploymentsToNoTargets = true;
    story.project.Description = "Burns";
    story.project = await projects.modify(story.project);
    assert.equal(story.project.Description, "Burns");
    return story.project.Id;
}

async function findProject() {
    const projects = new octopus.ProjectRepository(story.client, "Default");
    assert.equal((await projects.get(story.project.Id)).Name, story.project.Name);
    assert.equal((await projects.get(story.project.Slug)).Id, story.project.Id);
    const named = await projects.list({ partialName: "TypeScript Fire" });
    assert.deepEqual(named.Items.map((project) => project.Id), [story.project.Id]);
    const listed = await projects.list({ ids: [story.project.Id] });
    assert.equal(listed.Items.length, 1);
    return "by id, slug, part of the name and list of ids";
}

async function pushPackage() {
    const folder = await mkdtemp(path.join(tmpdir(), "client-story-"));
    try {
        await writeFile(path.join(folder, "index.html"), "<p>1.0.0</p>");
        const file = await new octopus.ZipPackageBuilder().pack({
            packageId: "TypeScript.Web",
            version: "1.0.0",
            basePath: folder,
            inputFilePatterns: ["index.html"],
            outputFolder: folder,
            overwrite: true,
            logger,
        });
        const archive = path.join(folder, path.basename(file));
        const packages = new octopus.PackageRepository(story.client, "Default");
        await packages.push([archive]);
        await packages.push([archive], octopus.OverwriteMode.IgnoreIfExists);
        await packages.push([archive], octopus.OverwriteMode.OverwriteExisting);
        const listed = await packages.list({ nuGetPackageId: "TypeScript.Web", take: 10 });
        assert.equal(listed.Items.length, 1);
        assert.equal(listed.Items[0].Version, "1.0.0");
        const one = await packages.get(listed.Items[0].Id);
        assert.equal(one.PackageId, "TypeScript.Web");
        await writeFile(archive, "other bytes");
        await refusal(() => packages.push([archive], octopus.OverwriteMode.FailIfExists));
        return one.Id;
    } finally {
        await rm(folder, { recursive: true });
    }
}

async function setProcess() {
    const processes = new octopus.DeploymentProcessRepository(story.client, "Default");
    const process = await processes.get(story.project);
    assert.equal(process.ProjectId, story.project.Id);
    process.Steps = [
        {
            Name: "Say hello",
            Properties: {},
            Condition: octopus.RunCondition.Success,
            StartTrigger: octopus.StartTrigger.StartAfterPrevious,
            PackageRequirement: octopus.PackageRequirement.LetOctopusDecide,
            Actions: [
                {
                    Name: "Say hello",
                    ActionType: "Octopus.Script",
                    Properties: {
                        "Octopus.Action.RunOnServer": "True",
                        "Octopus.Action.Script.ScriptSource": "Inline",
                        "Octopus.Action.Script.Syntax": "Bash",
                        "Octopus.Action.Script.ScriptBody": 'echo "hello from TypeScript"',
                    },
                },
            ],
        },
    ];
    const changed = await processes.update(story.project, process);
    assert.equal(changed.Steps[0].Actions[0].Properties["Octopus.Action.Script.Syntax"], "Bash");
    assert.ok(octopus.isDeploymentProcess(changed));
    return `version ${changed.Version}`;
}

async function createRelease() {
    const releases = new octopus.ReleaseRepository(story.client, "Default");
    const command = {
        spaceName: "Default",
        ProjectName: story.project.Name,
        ReleaseVersion: "1.0.0",
        ReleaseNotes: "The first",
    };
    const created = await releases.create(command);
    assert.equal(created.ReleaseVersion, "1.0.0");
    const again = await releases.create({ ...command, IgnoreIfAlreadyExists: true });
    assert.equal(again.ReleaseId, created.ReleaseId);
    await refusal(() => releases.create(command));
    const next = await releases.create({ spaceName: "Default", ProjectName: story.project.Id });
    assert.equal(next.ReleaseVersion, "1.0.1");
    story.release = created;
    return created.ReleaseId;
}

async function readReleases() {
    const releases = new octopus.ReleaseRepository(story.client, "Default");
    const one = await releases.get(story.release.ReleaseId);
    assert.equal(one.ReleaseNotes, "The first");
    const listed = await releases.listForProject(story.project.Id, { skip: 0, take: 10 });
    assert.deepEqual(listed.Items.map((release) => release.Version), ["1.0.1", "1.0.0"]);
    const found = await releases.listForProject(story.project.Id, { searchByVersion: "1.0.0" });
    assert.equal(found.Items.length, 1);
    await releases.list({ skip: 0, take: 1 });
    return `${listed.Items.length} releases`;
}

async function listEmpty() {
    const tenants = await new octopus.TenantRepository(story.client, "Default").list();
    const tagSets = await new octopus.TagSetRepository(story.client, "Default").list();
    assert.deepEqual([tenants.Items, tagSets.Items], [[], []]);
    return "tenants and tag sets";
}

async function deploy() {
    const deployments = new octopus.DeploymentRepository(story.client, "Default");
    const created = await deployments.create({
        spaceName: "Default",
        ProjectName: story.project.Name,
        ReleaseVersion: "1.0.0",
        EnvironmentNames: ["Development"],
        UseGuidedFailure: false,
    });
    assert.equal(created.DeploymentServerTasks.length, 1);
    story.task = created.DeploymentServerTasks[0].ServerTaskId;
    const { DeploymentId: id } = created.DeploymentServerTasks[0];
    assert.equal((await deployments.get(id)).TaskId, story.task);
    const listed = await deployments.list({ ids: [id], take: 1 });
    assert.equal(listed.Items[0].EnvironmentId, story.environment.Id);
    const of = await deployments.list({ projects: [story.project.Id], environments: [story.environment.Id] });
    assert.equal(of.Items.length, 1);
    return `${id} ${story.task}`;
}

async function readTasks() {
    const tasks = new octopus.SpaceServerTaskRepository(story.client, "Default");
    const one = await tasks.getById(story.task);
    assert.equal(one.Name, "Deploy");
    assert.equal((await tasks.getByIds([story.task])).length, 1);
    const details = await tasks.getDetails(story.task);
    assert.equal(details.Task.Id, story.task);
    return one.Description;
}

async function waitForTask() {
    const waiter = new octopus.ServerTaskWaiter(story.client, "Default");
    const seen = new Set();
    const task = await waiter.waitForServerTaskToComplete(story.task, PAUSE, PATIENCE, (now) => seen.add(now.State));
    assert.ok(task?.IsCompleted, `${story.task} did not end within ${PATIENCE} ms`);
    assert.ok(task.FinishedSuccessfully, task.ErrorMessage);
    const log = await new octopus.SpaceServerTaskRepository(story.client, "Default").getRaw(story.task);
    assert.match(log, /hello from TypeScript/);
    return [...seen].join(", ");
}

async function cancelTask() {
    const deployments = new octopus.DeploymentRepository(story.client, "Default");
    const created = await deployments.create({
        spaceName: "Default",
        ProjectName: story.project.Id,
        ReleaseVersion: "1.0.1",
        EnvironmentNames: [story.environment.Id],
        RunAt: new Date(Date.now() + 3_600_000),
    });
    const task = created.DeploymentServerTasks[0].ServerTaskId;
    await new octopus.ServerTaskRepository(story.client).cancel(task);
    const after = await new octopus.SpaceServerTaskRepository(story.client, "Default").getById(task);
    assert.equal(after.State, octopus.TaskState.Canceled);
    return task;
}

async function getErrors() {
    const deployments = new octopus.DeploymentRepository(story.client, "Default");
    const error = await refusal(() =>
        deployments.create({
            spaceName: "Default",
            ProjectName: story.project.Name,
            ReleaseVersion: "1.0.0",
            EnvironmentNames: ["Nowhere"],
        }),
    );
    assert.equal(error.StatusCode, 400);
    assert.match(error.message, /Nowhere/);
    return error.ErrorMessage;
}

async function deleteAll() {
    const projects = new octopus.ProjectRepository(story.client, "Default");
    await projects.del(story.project);
    await new octopus.ProjectGroupRepository(story.client, "Default").del(story.group);
    assert.equal((await refusal(() => projects.get(story.project.Id))).StatusCode, 404);
    return "nothing left";
}

// The error that the Server answered with; it is one when nothing was refused.
async function refusal(call) {
    try {
        await call();
    } catch (error) {
        return error;
    }
    throw new Error("this was not refused");
}
