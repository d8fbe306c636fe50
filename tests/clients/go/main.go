// Drives a running Server with the official Go client, from sign-in to a deployment and back to nothing.
//
// It prints a line for each thing done and ends with 1 when a thing could not be done or was not as expected.
// SERVER_URL and API_KEY say where and as whom.
package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/channels"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/client"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/core"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/deployments"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/environments"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/events"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/feeds"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/lifecycles"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/machines"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/packages"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/projectgroups"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/projects"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/releases"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/spaces"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/tasks"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/users"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/variables"
)

// How long a deployment may take.
const patience = 60 * time.Second

// story is what the steps learn and hand on.
type story struct {
	server      *client.Client
	space       *spaces.Space
	group       *projectgroups.ProjectGroup
	lifecycle   *lifecycles.Lifecycle
	environment *environments.Environment
	project     *projects.Project
	channel     *channels.Channel
	release     *releases.Release
	task        string
}

// A step does one thing and says what it saw.
type step struct {
	name string
	do   func(*story) (string, error)
}

func main() {
	if err := tell(&story{}, []step{
		{"sign in with the API key", signIn},
		{"find the space", findSpace},
		{"read myself", readMyself},
		{"list environments", listEnvironments},
		{"make, rename and delete an environment", changeEnvironment},
		{"find the lifecycle by name", findLifecycle},
		{"make a project group", makeProjectGroup},
		{"make a project", makeProject},
		{"find the project in every way", findProject},
		{"describe the project", describeProject},
		{"read and set variables", setVariables},
		{"find the feed", findFeed},
		{"push packages", pushPackages},
		{"set the deployment process", setProcess},
		{"make and list channels", makeChannel},
		{"create a release with the v1 command", createRelease},
		{"create a release the classic way", createClassicRelease},
		{"read the releases", readReleases},
		{"register and find a machine", registerMachine},
		{"preview the deployment", previewDeployment},
		{"deploy with the v1 command", deploy},
		{"read the tasks", readTasks},
		{"wait for the task", waitForTask},
		{"deploy the classic way and cancel", deployAndCancel},
		{"read events", readEvents},
		{"get errors that tell", getErrors},
		{"delete what was made", deleteAll},
	}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// tell goes on after a step that failed, so that one run shows all that is wrong; not without a client.
func tell(told *story, steps []step) error {
	var failed []string
	for _, step := range steps {
		saw, err := attempt(told, step)
		if err != nil {
			fmt.Printf("FAILED: %s: %v\n", step.name, err)
			failed = append(failed, step.name)
			if told.server == nil {
				break
			}
			continue
		}
		fmt.Printf("done: %s: %s\n", step.name, saw)
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d steps failed: %s", len(failed), len(steps), strings.Join(failed, ", "))
	}
	fmt.Printf("all %d steps done\n", len(steps))
	return nil
}

func attempt(told *story, step step) (saw string, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panicked: %v", cause)
		}
	}()
	return step.do(told)
}

func signIn(told *story) (string, error) {
	address, err := url.Parse(os.Getenv("SERVER_URL"))
	if err != nil {
		return "", err
	}
	if _, err := client.NewClient(http.DefaultClient, address, "API-NOBODYHASTHISKEYATALL", ""); err == nil {
		if me, err := mustFail(address); err == nil {
			return "", fmt.Errorf("a key that does not exist signed in as %s", me)
		}
	}
	told.server, err = client.NewClient(http.DefaultClient, address, os.Getenv("API_KEY"), "")
	if err != nil {
		return "", err
	}
	root, err := told.server.Root.Get()
	if err != nil {
		return "", err
	}
	if root.InstallationID == nil {
		return "", errors.New("the root document has no installation id")
	}
	return root.Version, nil
}

// mustFail reads the user with a key that does not exist.
func mustFail(address *url.URL) (string, error) {
	nobody, err := client.NewClient(http.DefaultClient, address, "API-NOBODYHASTHISKEYATALL", "")
	if err != nil {
		return "", err
	}
	me, err := nobody.Users.GetMe()
	if err != nil {
		return "", err
	}
	return me.Username, nil
}

func findSpace(told *story) (string, error) {
	var err error
	if told.space, err = spaces.GetDefaultSpace(told.server); err != nil {
		return "", err
	}
	if byName, err := told.server.Spaces.GetByName(told.space.Name); err != nil || byName.ID != told.space.ID {
		return "", fmt.Errorf("by name: %v", err)
	}
	if byID, err := spaces.GetByID(told.server, told.space.ID); err != nil || byID.Name != told.space.Name {
		return "", fmt.Errorf("by id: %v", err)
	}
	if byEither, err := told.server.Spaces.GetByIDOrName(told.space.Name); err != nil || byEither.ID != told.space.ID {
		return "", fmt.Errorf("by id or name: %v", err)
	}
	all, err := spaces.GetAll(told.server)
	if err != nil || len(all) == 0 {
		return "", fmt.Errorf("all spaces: %d, %v", len(all), err)
	}
	// A client of its own for the space, as the command line makes one.
	address, err := url.Parse(os.Getenv("SERVER_URL"))
	if err != nil {
		return "", err
	}
	told.server, err = client.NewClient(http.DefaultClient, address, os.Getenv("API_KEY"), told.space.ID)
	return told.space.ID + " " + told.space.Name, err
}

func readMyself(told *story) (string, error) {
	me, err := told.server.Users.GetMe()
	if err != nil {
		return "", err
	}
	mine, err := told.server.Users.GetSpaces(me)
	if err != nil || len(mine) == 0 {
		return "", fmt.Errorf("my spaces: %d, %v", len(mine), err)
	}
	if _, err := told.server.Users.GetAPIKeys(me); err != nil {
		return "", fmt.Errorf("my keys: %w", err)
	}
	if _, err := told.server.Users.GetAll(); err != nil {
		return "", fmt.Errorf("all users: %w", err)
	}
	found, err := users.Get(told.server, told.space.ID, users.UsersQuery{Filter: me.Username})
	if err != nil || len(found.Items) != 1 {
		return "", fmt.Errorf("users by filter: %v", err)
	}
	if _, err := users.GetByID(told.server, me.ID); err != nil {
		return "", fmt.Errorf("user by id: %w", err)
	}
	if _, err := told.server.Users.GetPermissions(me); err != nil {
		return "", fmt.Errorf("permissions: %w", err)
	}
	if _, err := told.server.Users.GetTeams(me); err != nil {
		return "", fmt.Errorf("teams: %w", err)
	}
	if _, err := told.server.ServerStatus.Get(); err != nil {
		return "", fmt.Errorf("server status: %w", err)
	}
	return me.Username, nil
}

func listEnvironments(told *story) (string, error) {
	named, err := told.server.Environments.GetByName("Development")
	if err != nil || len(named) != 1 {
		return "", fmt.Errorf("by name: %d, %v", len(named), err)
	}
	told.environment = named[0]
	all, err := environments.GetAll(told.server, told.space.ID)
	if err != nil || len(all) < 2 {
		return "", fmt.Errorf("all: %d, %v", len(all), err)
	}
	paged, err := environments.Get(told.server, told.space.ID, environments.EnvironmentsQuery{Take: 1})
	if err != nil || len(paged.Items) != 1 {
		return "", fmt.Errorf("first page: %v", err)
	}
	rest, err := paged.GetAllPages(told.server.Sling())
	if err != nil || len(rest) != len(all) {
		return "", fmt.Errorf("all pages: %d of %d, %v", len(rest), len(all), err)
	}
	byIDs, err := told.server.Environments.GetByIDs([]string{all[0].ID, all[1].ID})
	if err != nil || len(byIDs) != 2 {
		return "", fmt.Errorf("by ids: %d, %v", len(byIDs), err)
	}
	if partial, err := told.server.Environments.GetByPartialName("velop"); err != nil || len(partial) != 1 {
		return "", fmt.Errorf("by part of the name: %d, %v", len(partial), err)
	}
	return fmt.Sprintf("%d, Development is %s", len(all), told.environment.ID), nil
}

func changeEnvironment(told *story) (string, error) {
	made, err := environments.Add(told.server, environments.NewEnvironment("Go staging"))
	if err != nil {
		return "", err
	}
	made.Name, made.Description = "Go staging 2", "Made by the Go client"
	made.SpaceID = told.space.ID
	changed, err := environments.Update(told.server, made)
	if err != nil || changed.Name != "Go staging 2" || changed.Description != "Made by the Go client" {
		return "", fmt.Errorf("update: %v", err)
	}
	if err := environments.DeleteByID(told.server, told.space.ID, made.ID); err != nil {
		return "", fmt.Errorf("delete: %w", err)
	}
	if _, err := environments.GetByID(told.server, told.space.ID, made.ID); !isNotFound(err) {
		return "", fmt.Errorf("a deleted environment answers %v", err)
	}
	return made.ID, nil
}

func findLifecycle(told *story) (string, error) {
	var err error
	if told.lifecycle, err = told.server.Lifecycles.GetByName("Default Lifecycle"); err != nil {
		return "", err
	}
	all, err := lifecycles.GetAll(told.server, told.space.ID)
	if err != nil || len(all) == 0 {
		return "", fmt.Errorf("all: %v", err)
	}
	if byID, err := told.server.Lifecycles.GetByID(told.lifecycle.ID); err != nil || byID.Name != told.lifecycle.Name {
		return "", fmt.Errorf("by id: %v", err)
	}
	return told.lifecycle.ID, nil
}

func makeProjectGroup(told *story) (string, error) {
	var err error
	if told.group, err = projectgroups.Add(told.server, projectgroups.NewProjectGroup("Go group")); err != nil {
		return "", err
	}
	told.group.Description = "Of the Go client"
	changed, err := projectgroups.Update(told.server, *told.group)
	if err != nil || changed.Description != told.group.Description {
		return "", fmt.Errorf("update: %v", err)
	}
	if _, err := projectgroups.GetByID(told.server, told.space.ID, told.group.ID); err != nil {
		return "", fmt.Errorf("by id: %w", err)
	}
	found, err := told.server.ProjectGroups.GetByName("Go group")
	if err != nil || found.ID != told.group.ID {
		return "", fmt.Errorf("by name: %v", err)
	}
	return told.group.ID, nil
}

func makeProject(told *story) (string, error) {
	wanted := projects.NewProject("Go Fire Project", told.lifecycle.ID, told.group.ID)
	wanted.SpaceID = told.space.ID
	wanted.ConnectivityPolicy.AllowDeploymentsToNoTargets = true
	var err error
	if told.project, err = projects.Add(told.server, wanted); err != nil {
		return "", err
	}
	if told.project.Slug != "go-fire-project" {
		return "", fmt.Errorf("the slug is %q", told.project.Slug)
	}
	return told.project.ID + " " + told.project.Slug, nil
}

func findProject(told *story) (string, error) {
	ways := map[string]func() (*projects.Project, error){
		"id": func() (*projects.Project, error) {
			return projects.GetByID(told.server, told.space.ID, told.project.ID)
		},
		"slug": func() (*projects.Project, error) {
			return projects.GetByID(told.server, told.space.ID, told.project.Slug)
		},
		"name": func() (*projects.Project, error) {
			return projects.GetByName(told.server, told.space.ID, told.project.Name)
		},
		"either": func() (*projects.Project, error) {
			return projects.GetByIdentifier(told.server, told.space.ID, told.project.Name)
		},
		"link": func() (*projects.Project, error) { return told.server.Projects.GetByID(told.project.ID) },
		"old":  func() (*projects.Project, error) { return told.server.Projects.GetByIdentifier(told.project.Slug) },
	}
	for way, find := range ways {
		if found, err := find(); err != nil || found.ID != told.project.ID {
			return "", fmt.Errorf("by %s: %v", way, err)
		}
	}
	all, err := projects.GetAll(told.server, told.space.ID)
	if err != nil || len(all) == 0 {
		return "", fmt.Errorf("all: %v", err)
	}
	grouped, err := told.server.ProjectGroups.GetProjects(told.group)
	if err != nil || len(grouped) != 1 {
		return "", fmt.Errorf("of the group: %d, %v", len(grouped), err)
	}
	return fmt.Sprintf("%d ways", len(ways)), nil
}

func describeProject(told *story) (string, error) {
	told.project.Description = "Burns\non two lines"
	changed, err := projects.Update(told.server, told.project)
	if err != nil || changed.Description != told.project.Description {
		return "", fmt.Errorf("update: %v", err)
	}
	if _, err := told.server.Projects.GetSummary(changed); err != nil {
		return "", fmt.Errorf("summary: %w", err)
	}
	if _, err := told.server.Projects.GetProgression(changed); err != nil {
		return "", fmt.Errorf("progression: %w", err)
	}
	if _, err := told.server.Deployments.GetDeploymentSettings(changed, ""); err != nil {
		return "", fmt.Errorf("deployment settings: %w", err)
	}
	told.project = changed
	return changed.Description[:5], nil
}

func setVariables(told *story) (string, error) {
	plain := variables.NewVariable("Greeting")
	plain.Value = "hello"
	plain.Scope.Environments = []string{told.environment.ID}
	if _, err := variables.AddSingle(told.server, told.space.ID, told.project.ID, plain); err != nil {
		return "", fmt.Errorf("add: %w", err)
	}
	sealed := variables.NewVariable("Token")
	sealed.Type, sealed.IsSensitive, sealed.Value = "Sensitive", true, "k3pt-quiet"
	if _, err := variables.AddSingle(told.server, told.space.ID, told.project.ID, sealed); err != nil {
		return "", fmt.Errorf("add a sensitive one: %w", err)
	}
	named, err := variables.GetByName(told.server, told.space.ID, told.project.ID, "Greeting", &plain.Scope)
	if err != nil || len(named) != 1 || named[0].Value != "hello" {
		return "", fmt.Errorf("by name and scope: %v, %v", named, err)
	}
	named[0].Value = "good day"
	if _, err := variables.UpdateSingle(told.server, told.space.ID, told.project.ID, named[0]); err != nil {
		return "", fmt.Errorf("update: %w", err)
	}
	all, err := variables.GetAll(told.server, told.space.ID, told.project.ID)
	if err != nil || len(all.Variables) != 2 {
		return "", fmt.Errorf("all: %d, %v", len(all.Variables), err)
	}
	for _, variable := range all.Variables {
		if variable.Name == "Token" && variable.Value != "" {
			return "", errors.New("the value of a sensitive variable came back")
		}
		if variable.Name == "Greeting" && variable.Value != "good day" {
			return "", fmt.Errorf("the greeting is %q", variable.Value)
		}
	}
	extra := variables.NewVariable("Spare")
	grown, err := told.server.Variables.AddSingle(told.project.ID, extra)
	if err != nil {
		return "", fmt.Errorf("add the old way: %w", err)
	}
	for _, variable := range grown.Variables {
		if variable.Name == "Spare" {
			if _, err := variables.DeleteSingle(told.server, told.space.ID, told.project.ID, variable.ID); err != nil {
				return "", fmt.Errorf("delete: %w", err)
			}
		}
	}
	set, err := variables.GetVariableSet(told.server, told.space.ID, told.project.VariableSetID)
	if err != nil || len(set.Variables) != 2 {
		return "", fmt.Errorf("the set: %v", err)
	}
	return fmt.Sprintf("version %d", set.Version), nil
}

func findFeed(told *story) (string, error) {
	found, err := feeds.Get(told.server, told.space.ID, feeds.FeedsQuery{FeedType: "BuiltIn"})
	if err != nil || len(found.Items) != 1 {
		return "", fmt.Errorf("built-in feeds: %v", err)
	}
	if _, err := feeds.GetByID(told.server, told.space.ID, found.Items[0].GetID()); err != nil {
		return "", fmt.Errorf("by id: %w", err)
	}
	if _, err := told.server.Feeds.GetAll(); err != nil {
		return "", fmt.Errorf("all: %w", err)
	}
	if _, err := told.server.Feeds.GetBuiltInFeedStatistics(); err != nil {
		return "", fmt.Errorf("statistics: %w", err)
	}
	return found.Items[0].GetID(), nil
}

func pushPackages(told *story) (string, error) {
	for _, version := range []string{"1.0.0", "1.1.0"} {
		archive, err := archive(version)
		if err != nil {
			return "", err
		}
		name := "Go.Web." + version + ".zip"
		pushed, isNew, err := packages.Upload(told.server, told.space.ID, name, bytes.NewReader(archive), packages.OverwriteModeFailIfExists)
		if err != nil {
			return "", fmt.Errorf("push %s: %w", name, err)
		}
		if !isNew || pushed.PackageId != "Go.Web" || pushed.Version != version || pushed.PackageSizeBytes != len(archive) {
			return "", fmt.Errorf("push %s: new %v, %+v", name, isNew, pushed)
		}
		_, isNew, err = packages.Upload(told.server, told.space.ID, name, bytes.NewReader(archive), packages.OverwriteModeIgnoreIfExists)
		if err != nil || isNew {
			return "", fmt.Errorf("push %s again, ignored: new %v, %v", name, isNew, err)
		}
		if _, _, err := packages.Upload(told.server, told.space.ID, name, bytes.NewReader(append(archive, 0)), packages.OverwriteModeFailIfExists); err == nil {
			return "", fmt.Errorf("%s with other bytes was taken", name)
		}
	}
	listed, err := packages.List(told.server, told.space.ID, "Go.Web", 10)
	if err != nil || len(listed.Items) != 2 {
		return "", fmt.Errorf("list: %v", err)
	}
	if _, err := packages.GetAll(told.server, told.space.ID); err != nil {
		return "", fmt.Errorf("all: %w", err)
	}
	if _, err := packages.GetByID(told.server, told.space.ID, "packages-Go.Web.1.0.0"); err != nil {
		return "", fmt.Errorf("by id: %w", err)
	}
	feed, err := feeds.Get(told.server, told.space.ID, feeds.FeedsQuery{FeedType: "BuiltIn"})
	if err != nil {
		return "", err
	}
	versions, err := feeds.SearchPackageVersions(told.server, told.space.ID, feed.Items[0].GetID(), "Go.Web", "", 10)
	if err != nil || len(versions.Items) != 2 || versions.Items[0].Version != "1.1.0" {
		return "", fmt.Errorf("versions: %v", err)
	}
	found, err := told.server.Feeds.SearchPackages(feed.Items[0], feeds.SearchPackagesQuery{Term: "web", Take: 5})
	if err != nil || len(found.Items) == 0 {
		return "", fmt.Errorf("search: %v", err)
	}
	return "Go.Web 1.0.0 and 1.1.0", nil
}

func archive(version string) ([]byte, error) {
	var bytes bytes.Buffer
	writer := zip.NewWriter(&bytes)
	file, err := writer.Create("index.html")
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(file, "<p>%s</p>", version); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return bytes.Bytes(), nil
}

func setProcess(told *story) (string, error) {
	process, err := told.server.DeploymentProcesses.GetByID(told.project.DeploymentProcessID)
	if err != nil {
		return "", err
	}
	action := deployments.NewDeploymentAction("Say hello", "Octopus.Script")
	for name, value := range map[string]string{
		"Octopus.Action.RunOnServer":         "True",
		"Octopus.Action.Script.ScriptSource": "Inline",
		"Octopus.Action.Script.Syntax":       "Bash",
		"Octopus.Action.Script.ScriptBody":   "echo \"#{Greeting} from Go\"",
	} {
		action.Properties[name] = core.NewPropertyValue(value, false)
	}
	step := deployments.NewDeploymentStep("Say hello")
	step.Actions = []*deployments.DeploymentAction{action}
	process.Steps = []*deployments.DeploymentStep{step}
	if process, err = told.server.DeploymentProcesses.Update(process); err != nil {
		return "", fmt.Errorf("update: %w", err)
	}
	if len(process.Steps) != 1 || process.Steps[0].Actions[0].Properties["Octopus.Action.Script.Syntax"].Value != "Bash" {
		return "", fmt.Errorf("the step did not stay: %+v", process.Steps)
	}
	// The second way to the same document, with a change of what was read.
	process.Steps[0].Actions[0].Notes = "Says hello"
	process.SpaceID = told.space.ID
	if process, err = deployments.UpdateDeploymentProcess(told.server, process); err != nil {
		return "", fmt.Errorf("update again: %w", err)
	}
	if process.Steps[0].Actions[0].Notes != "Says hello" {
		return "", errors.New("the note did not stay")
	}
	if _, err := told.server.DeploymentProcesses.Get(told.project, ""); err != nil {
		return "", fmt.Errorf("of the project: %w", err)
	}
	if _, err := deployments.GetAllDeploymentProcesses(told.server, told.space.ID); err != nil {
		return "", fmt.Errorf("all: %w", err)
	}
	template, err := deployments.GetDeploymentProcessTemplate(told.server, process, "", "")
	if err != nil || template.NextVersionIncrement == "" {
		return "", fmt.Errorf("template: %v", err)
	}
	return fmt.Sprintf("version %d, next release %s", process.Version, template.NextVersionIncrement), nil
}

func makeChannel(told *story) (string, error) {
	of, err := told.server.Projects.GetChannels(told.project)
	if err != nil || len(of) != 1 || !of[0].IsDefault {
		return "", fmt.Errorf("of the project: %v", err)
	}
	told.channel = of[0]
	wanted := channels.NewChannel("Hotfix", told.project.ID)
	wanted.SpaceID = told.space.ID
	made, err := channels.Add(told.server, wanted)
	if err != nil {
		return "", fmt.Errorf("add: %w", err)
	}
	made.Description = "For fires"
	if made, err = channels.Update(told.server, made); err != nil || made.Description != "For fires" {
		return "", fmt.Errorf("update: %v", err)
	}
	both, err := channels.GetByProjectID(told.server, told.space.ID, channels.QueryByProjectID{ProjectID: told.project.ID, Take: 30})
	if err != nil || len(both.Items) != 2 {
		return "", fmt.Errorf("both: %v", err)
	}
	if _, err := channels.GetAll(told.server, told.space.ID); err != nil {
		return "", fmt.Errorf("all: %w", err)
	}
	if err := channels.DeleteByID(told.server, told.space.ID, made.ID); err != nil {
		return "", fmt.Errorf("delete: %w", err)
	}
	return told.channel.ID, nil
}

func createRelease(told *story) (string, error) {
	command := releases.NewCreateReleaseCommandV1(told.space.ID, told.project.Name)
	command.ReleaseVersion = "1.0.0"
	command.ReleaseNotes = "The first"
	created, err := releases.CreateReleaseV1(told.server, command)
	if err != nil {
		return "", err
	}
	if created.ReleaseVersion != "1.0.0" || created.ReleaseID == "" {
		return "", fmt.Errorf("%+v", created)
	}
	if _, err := releases.CreateReleaseV1(told.server, command); err == nil {
		return "", errors.New("the same version was created twice")
	}
	command.IgnoreIfAlreadyExists = true
	again, err := releases.CreateReleaseV1(told.server, command)
	if err != nil || again.ReleaseID != created.ReleaseID {
		return "", fmt.Errorf("again, ignored: %v", err)
	}
	if told.release, err = told.server.Releases.GetByID(created.ReleaseID); err != nil {
		return "", fmt.Errorf("by id: %w", err)
	}
	if told.release.ReleaseNotes != "The first" || told.release.Assembled.IsZero() {
		return "", fmt.Errorf("%+v", told.release)
	}
	return created.ReleaseID, nil
}

func createClassicRelease(told *story) (string, error) {
	created, err := told.server.Releases.Add(releases.NewRelease(told.channel.ID, told.project.ID, "1.1.0-beta.1"))
	if err != nil {
		return "", err
	}
	return created.ID, nil
}

func readReleases(told *story) (string, error) {
	of, err := told.server.Projects.GetReleases(told.project)
	if err != nil || len(of) != 2 {
		return "", fmt.Errorf("of the project: %d, %v", len(of), err)
	}
	if found, err := releases.GetReleaseInProject(told.server, told.space.ID, told.project.ID, "1.0.0"); err != nil || found.ID != told.release.ID {
		return "", fmt.Errorf("by version: %v", err)
	}
	if in, err := releases.GetReleasesInProjectChannel(told.server, told.space.ID, told.project.ID, told.channel.ID); err != nil || len(in) != 2 {
		return "", fmt.Errorf("in the channel: %d, %v", len(in), err)
	}
	if in, err := told.server.Releases.GetReleases(told.channel); err != nil || len(in.Items) != 2 {
		return "", fmt.Errorf("of the channel: %v", err)
	}
	if _, err := told.server.Releases.Get(releases.ReleasesQuery{Take: 5}); err != nil {
		return "", fmt.Errorf("list: %w", err)
	}
	if _, err := told.server.Deployments.GetProgression(told.release); err != nil {
		return "", fmt.Errorf("progression: %w", err)
	}
	if _, err := releases.GetMissingPackages(told.server, told.release); err != nil {
		return "", fmt.Errorf("missing packages: %w", err)
	}
	return of[0].Version + ", " + of[1].Version, nil
}

func registerMachine(told *story) (string, error) {
	address, err := url.Parse("https://127.0.0.1:10933/")
	if err != nil {
		return "", err
	}
	endpoint := machines.NewListeningTentacleEndpoint(address, "0123456789ABCDEF0123456789ABCDEF01234567")
	wanted := machines.NewDeploymentTarget("Go machine", endpoint, []string{told.environment.ID}, []string{"go-web"})
	wanted.SpaceID = told.space.ID
	made, err := machines.Add(told.server, wanted)
	if err != nil {
		return "", err
	}
	found, err := told.server.Machines.GetByName("Go machine")
	if err != nil || len(found) != 1 || found[0].Endpoint.GetCommunicationStyle() != "TentaclePassive" {
		return "", fmt.Errorf("by name: %d, %v", len(found), err)
	}
	if _, err := machines.GetByID(told.server, told.space.ID, made.ID); err != nil {
		return "", fmt.Errorf("by id: %w", err)
	}
	if byThumbprint, err := machines.Get(told.server, told.space.ID, machines.MachinesQuery{Thumbprint: made.Thumbprint}); err != nil || len(byThumbprint.Items) != 1 {
		return "", fmt.Errorf("by thumbprint %q: %v", made.Thumbprint, err)
	}
	made.IsDisabled = true
	if made, err = told.server.Machines.Update(made); err != nil || !made.IsDisabled {
		return "", fmt.Errorf("update: %v", err)
	}
	if _, err := told.server.MachineRoles.GetAll(); err != nil {
		return "", fmt.Errorf("roles: %w", err)
	}
	if _, err := told.server.MachinePolicies.GetAll(); err != nil {
		return "", fmt.Errorf("policies: %w", err)
	}
	if err := machines.DeleteByID(told.server, told.space.ID, made.ID); err != nil {
		return "", fmt.Errorf("delete: %w", err)
	}
	return made.ID, nil
}

func previewDeployment(told *story) (string, error) {
	template, err := releases.GetReleaseDeploymentTemplate(told.server, told.space.ID, told.release.ID)
	if err != nil || len(template.PromoteTo) == 0 {
		return "", fmt.Errorf("template: %v", err)
	}
	preview, err := deployments.GetReleaseDeploymentPreview(told.server, told.space.ID, told.release.ID, told.environment.ID, true)
	if err != nil || len(preview.StepsToExecute) != 1 {
		return "", fmt.Errorf("preview: %v", err)
	}
	wanted := []deployments.DeploymentPreviewRequest{{EnvironmentId: told.environment.ID}}
	previews, err := deployments.GetReleaseDeploymentPreviews(told.server, told.space.ID, told.release.ID, wanted, true)
	if err != nil || len(previews) != 1 {
		return "", fmt.Errorf("previews: %v", err)
	}
	return preview.StepsToExecute[0].ActionName, nil
}

func deploy(told *story) (string, error) {
	command := deployments.NewCreateDeploymentUntenantedCommandV1(told.space.ID, told.project.ID)
	command.ReleaseVersion = "1.0.0"
	command.EnvironmentNames = []string{"Development"}
	created, err := deployments.CreateDeploymentUntenantedV1(told.server, command)
	if err != nil {
		return "", err
	}
	if len(created.DeploymentServerTasks) != 1 {
		return "", fmt.Errorf("%d tasks", len(created.DeploymentServerTasks))
	}
	told.task = created.DeploymentServerTasks[0].ServerTaskID
	deployment, err := told.server.Deployments.GetByID(created.DeploymentServerTasks[0].DeploymentID)
	if err != nil || deployment.TaskID != told.task || deployment.EnvironmentID != told.environment.ID {
		return "", fmt.Errorf("by id: %v", err)
	}
	of, err := told.server.Deployments.GetDeployments(told.release)
	if err != nil || len(of.Items) != 1 {
		return "", fmt.Errorf("of the release: %v", err)
	}
	return deployment.ID + " " + told.task, nil
}

func readTasks(told *story) (string, error) {
	found, err := told.server.Tasks.Get(tasks.TasksQuery{IDs: []string{told.task}})
	if err != nil || len(found.Items) != 1 || found.Items[0].ID != told.task {
		return "", fmt.Errorf("by ids: %v", err)
	}
	task := found.Items[0]
	if task.IsCompleted == nil || task.FinishedSuccessfully == nil || task.QueueTime == nil {
		return "", fmt.Errorf("%+v", task)
	}
	of, err := told.server.Tasks.Get(tasks.TasksQuery{Project: told.project.ID, Take: 5})
	if err != nil || len(of.Items) != 1 {
		return "", fmt.Errorf("of the project: %v", err)
	}
	details, err := tasks.GetDetails(told.server, told.space.ID, told.task)
	if err != nil || details.Task == nil || details.Task.ID != told.task {
		return "", fmt.Errorf("details: %v", err)
	}
	return task.Description, nil
}

func waitForTask(told *story) (string, error) {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		found, err := told.server.Tasks.Get(tasks.TasksQuery{IDs: []string{told.task}})
		if err != nil {
			return "", err
		}
		task := found.Items[0]
		if *task.IsCompleted {
			if !*task.FinishedSuccessfully {
				return "", fmt.Errorf("%s: %s", task.State, task.ErrorMessage)
			}
			details, err := tasks.GetDetails(told.server, told.space.ID, told.task)
			if err != nil || len(details.ActivityLogs) == 0 {
				return "", fmt.Errorf("details: %v", err)
			}
			return task.State, nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return "", fmt.Errorf("%s did not end within %s", told.task, patience)
}

func deployAndCancel(told *story) (string, error) {
	wanted := deployments.NewDeployment(told.environment.ID, told.release.ID)
	later := time.Now().Add(time.Hour)
	wanted.QueueTime = &later
	made, err := told.server.Deployments.Add(wanted)
	if err != nil {
		return "", err
	}
	if _, err := tasks.Cancel(told.server, told.space.ID, made.TaskID); err != nil {
		return "", fmt.Errorf("cancel: %w", err)
	}
	found, err := told.server.Tasks.Get(tasks.TasksQuery{IDs: []string{made.TaskID}})
	if err != nil || len(found.Items) != 1 || found.Items[0].State != "Canceled" {
		return "", fmt.Errorf("after the cancel: %v", err)
	}
	return made.TaskID, nil
}

func readEvents(told *story) (string, error) {
	happened, err := told.server.Events.Get(events.EventsQuery{Regarding: told.project.ID, Take: 50})
	if err != nil || len(happened.Items) == 0 {
		return "", fmt.Errorf("of the project: %v", err)
	}
	return fmt.Sprintf("%d, the last %q", len(happened.Items), happened.Items[0].Message), nil
}

func getErrors(told *story) (string, error) {
	if _, err := projects.GetByID(told.server, told.space.ID, "Projects-999999"); !isNotFound(err) {
		return "", fmt.Errorf("a project that does not exist: %v", err)
	}
	if _, err := projects.Add(told.server, projects.NewProject("Go Fire Project", told.lifecycle.ID, told.group.ID)); err == nil {
		return "", errors.New("a second project of the same name was made")
	}
	command := deployments.NewCreateDeploymentUntenantedCommandV1(told.space.ID, told.project.ID)
	command.ReleaseVersion = "1.0.0"
	command.EnvironmentNames = []string{"Nowhere"}
	_, err := deployments.CreateDeploymentUntenantedV1(told.server, command)
	var told_ *core.APIError
	if !errors.As(err, &told_) || told_.StatusCode != http.StatusBadRequest || !strings.Contains(err.Error(), "Nowhere") {
		return "", fmt.Errorf("an environment that does not exist: %v", err)
	}
	return told_.ErrorMessage, nil
}

func deleteAll(told *story) (string, error) {
	if err := told.server.Releases.DeleteByID(told.release.ID); err != nil {
		return "", fmt.Errorf("the release: %w", err)
	}
	if err := packages.DeleteByID(told.server, told.space.ID, "packages-Go.Web.1.0.0"); err != nil {
		return "", fmt.Errorf("the package: %w", err)
	}
	if err := projects.DeleteByID(told.server, told.space.ID, told.project.ID); err != nil {
		return "", fmt.Errorf("the project: %w", err)
	}
	if err := projectgroups.DeleteByID(told.server, told.space.ID, told.group.ID); err != nil {
		return "", fmt.Errorf("the group: %w", err)
	}
	if _, err := projects.GetByID(told.server, told.space.ID, told.project.ID); !isNotFound(err) {
		return "", fmt.Errorf("the deleted project answers %v", err)
	}
	return "nothing left", nil
}

func isNotFound(err error) bool {
	var told *core.APIError
	return errors.As(err, &told) && told.StatusCode == http.StatusNotFound
}
