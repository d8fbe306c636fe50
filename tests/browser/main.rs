//! The portal in real headless Chromium (REQ-079). Every story ends with a look at the browser's console: a
//! resource that was refused, a script that broke or a policy that was violated is a failure.
//!
//! Pictures are kept in `<target>/<profile>/browser`.

mod server;
mod web_driver;

use std::fs;

use server::Server;
use tests::program::PASSWORD;
use web_driver::Browser;

#[test]
fn somebody_signs_in_looks_around_and_signs_out() {
    let server = Server::start();
    let browser = Browser::open(1280, 800);

    browser.go(&server.at("/"));
    browser.wait_for_path("/sign-in");
    assert_eq!(browser.title(), "Sign in · Mantle");
    assert!(is_styled(&browser));
    browser.keep_picture("sign-in");
    assert_quiet(&browser);

    sign_in(&browser, "wrong");
    let problem = browser.find("[role=alert]").text();
    assert!(problem.contains("password"), "{problem}");
    browser.keep_picture("wrong-password");
    let console = browser.console();
    assert!(
        console.iter().all(|line| line.contains("401 (Unauthorized)")),
        "{console:?}"
    );

    sign_in(&browser, PASSWORD);
    browser.wait_for_path("/");
    assert_eq!(browser.find("h1").text(), "Tasks");
    browser.wait_for_text("Nothing has run yet");
    browser.keep_picture("no-tasks");

    browser.find("form[action='/sign-out'] button").click();
    browser.wait_for_path("/sign-in");
    browser.go(&server.at("/"));
    browser.wait_for_path("/sign-in");
    assert_quiet(&browser);
}

#[test]
fn a_task_shows_its_log_while_it_runs() {
    let server = Server::start();
    let gate = tempfile::tempdir().expect("the system has a folder for temporary files");
    let open = gate.path().join("open");
    let task = server.deploy_script(
        "Live",
        &format!(
            "echo 'before the gate'\nwhile [ ! -e '{}' ]; do sleep 0.05; done\necho 'after the gate'\n\
             echo 'all is well' > report.txt\nnew_octopusartifact report.txt",
            open.display()
        ),
    );

    let browser = Browser::open(1280, 800);
    browser.go(&server.at(&format!("/tasks/{task}")));
    browser.wait_for_path(&format!("/sign-in?return_to=/tasks/{task}"));
    sign_in(&browser, PASSWORD);
    browser.wait_for_path(&format!("/tasks/{task}"));
    browser.run("window.isTheSamePage = true");
    browser.wait_for_text("before the gate");
    assert!(!browser.text().contains("after the gate"));
    browser.wait_for_text("Executing");
    browser.keep_picture("task-running");

    fs::write(&open, "").expect("the gate can be opened");
    browser.wait_for_text("after the gate");
    browser.wait_for_text("Success");
    assert_eq!(
        browser.run("return window.isTheSamePage"),
        true,
        "the page was not reloaded"
    );
    let before: usize = browser.text().matches("before the gate").count();
    assert_eq!(before, 1, "no line comes twice");
    assert_eq!(browser.find(".log__no").text(), "1");
    assert_eq!(browser.find("#artifacts a").text(), "report.txt");
    let content = browser
        .run("return fetch(document.querySelector('#artifacts a').href).then((answer) => answer.text())");
    assert_eq!(content, "all is well\n");
    browser.keep_picture("task-done");

    browser.go(&server.at("/"));
    browser.wait_for_text("Deploy Live release 1.0.0 to Development");
    browser.keep_picture("tasks");
    browser.find(&format!("a[href='/tasks/{task}']")).click();
    browser.wait_for_path(&format!("/tasks/{task}"));
    browser.wait_for_text("after the gate");
    assert_quiet(&browser);
}

#[test]
fn a_task_is_canceled_on_its_page() {
    let server = Server::start();
    let task = server.deploy_script("Long", "echo 'on and on'\nsleep 600");
    let browser = Browser::open(1280, 800);
    browser.go(&server.at("/sign-in"));
    sign_in(&browser, PASSWORD);
    browser.wait_for_path("/");
    browser.go(&server.at(&format!("/tasks/{task}")));
    browser.wait_for_text("on and on");
    browser
        .find(&format!("form[action='/tasks/{task}/cancel'] button"))
        .click();
    browser.wait_for_text("Canceled");
    assert!(browser.find_all("form[action$='/cancel']").is_empty());
    browser.keep_picture("task-canceled");
    assert_quiet(&browser);
}

#[test]
fn the_pages_fit_a_telephone() {
    let server = Server::start();
    server.deploy_script(
        "A project with a rather long name",
        "echo 'a line that is longer than the screen of a telephone is wide, and goes on for a while'",
    );
    let browser = Browser::open(500, 800);
    browser.go(&server.at("/sign-in"));
    assert_fits(&browser);
    browser.keep_picture("telephone-sign-in");
    sign_in(&browser, PASSWORD);
    browser.wait_for_path("/");
    browser.wait_for_text("Success");
    assert_fits(&browser);
    browser.keep_picture("telephone-tasks");
    browser.find("td a").click();
    browser.wait_for_text("goes on for a while");
    assert_fits(&browser);
    browser.keep_picture("telephone-task");
    assert_quiet(&browser);
}

#[test]
fn what_is_not_there_says_so() {
    let server = Server::start();
    let browser = Browser::open(1280, 800);
    browser.go(&server.at("/sign-in"));
    sign_in(&browser, PASSWORD);
    browser.wait_for_path("/");
    assert_quiet(&browser);
    browser.go(&server.at("/tasks/ServerTasks-999"));
    browser.wait_for_text("Not found");
    browser.keep_picture("not-found");
    let console = browser.console();
    assert!(
        console.iter().all(|line| line.contains("404 (Not Found)")),
        "{console:?}"
    );
}

fn sign_in(browser: &Browser, password: &str) {
    let name = browser.find("#username");
    name.clear();
    name.write("admin");
    browser.find("#password").write(password);
    browser.find(".signin__form button").click();
}

/// The style sheet came and was applied: without it the page's background is transparent.
fn is_styled(browser: &Browser) -> bool {
    browser.run("return getComputedStyle(document.body).backgroundColor") != "rgba(0, 0, 0, 0)"
}

fn assert_fits(browser: &Browser) {
    let wider = browser.run("return document.documentElement.scrollWidth - window.innerWidth");
    assert!(
        wider.as_i64() <= Some(0),
        "{} is {wider} pixels too wide",
        browser.address()
    );
}

fn assert_quiet(browser: &Browser) {
    let console = browser.console();
    assert!(console.is_empty(), "{}: {console:?}", browser.address());
}
