//! Where the package is installed: in the folder it was unpacked to, or copied to another one (6.8).

use crate::deployment::Deployment;
use crate::failure::Failure;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The names under which the folder is told; the second is the older one.
pub const OUTPUTS: [&str; 2] = [
    "Octopus.Action.Package.InstallationDirectoryPath",
    "Package.InstallationDirectoryPath",
];

/// The variable that names another folder to copy the package to.
pub const CUSTOM: &str = "Octopus.Action.Package.CustomInstallationDirectory";

/// Copies the package to the custom folder, which is the current one from then on; without one, tells where the package is.
///
/// # Errors
/// A custom folder that cannot be one, or that cannot be written to.
pub fn install(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let Some(extracted) = deployment.extracted.clone() else {
        return Ok(());
    };
    let Some(target) = custom_folder(deployment, &extracted)? else {
        let folder = extracted.display().to_string();
        deployment
            .runner
            .log
            .verbose(&format!("The package has been installed to: {folder}"));
        deployment.runner.variables.set(CUSTOM, &folder);
        return Ok(());
    };
    let runner = &mut *deployment.runner;
    let path = PathBuf::from(&target);
    // `x/../site` makes no `x`.
    let place = if path.exists() {
        path.clone()
    } else {
        without_dots(&path)
    };
    super::purge::purge(runner, &place, &extracted)?;
    runner
        .log
        .info(&format!("Copying package contents to '{target}'"));
    let copied = copy_tree(&extracted, &place)?;
    runner.log.info(&format!("Copied {copied} files"));
    for name in OUTPUTS {
        runner.output(name, &target)?;
    }
    runner.output("Package.CopiedFileCount", &copied.to_string())?;
    deployment.custom = Some(path);
    Ok(())
}

/// The folder that the step names, as it is written there.
fn custom_folder(deployment: &Deployment<'_>, extracted: &Path) -> Result<Option<String>, Failure> {
    let variables = &deployment.runner.variables;
    let Some(raw) = variables.raw(CUSTOM).filter(|raw| !raw.trim().is_empty()) else {
        return Ok(None);
    };
    deployment.runner.log.verbose(&format!(
        "Installing package to custom directory {}",
        variables.text(CUSTOM)?
    ));
    let evaluation = octostache::evaluate(raw, variables.collection())?;
    if let Some(error) = evaluation.error() {
        return Err(Failure::expected(format!(
            "An error occurred when evaluating the value for the custom install directory. {error}"
        )));
    }
    let folder = evaluation.value;
    if folder.trim().is_empty() {
        return Ok(None);
    }
    let path = Path::new(&folder);
    if !path.is_absolute() {
        return Err(Failure::expected(format!(
            "The custom install directory '{folder}' is a relative path; write the whole path"
        )));
    }
    // Seen through links and `..`, as far as the folder exists already.
    let resolved = path
        .ancestors()
        .find_map(|ancestor| {
            let rest = path.strip_prefix(ancestor).ok()?;
            ancestor.canonicalize().ok().map(|ancestor| ancestor.join(rest))
        })
        .unwrap_or_else(|| path.to_owned());
    let extracted = extracted
        .canonicalize()
        .map_err(|error| Failure::at(extracted, "find", &error))?;
    if path.starts_with(&extracted) || resolved.starts_with(&extracted) {
        return Err(Failure::expected(format!(
            "The custom install directory '{folder}' is the folder that the package was extracted to, or inside it; \
             choose another one"
        )));
    }
    Ok(Some(folder))
}

/// The path with `.` and `..` worked out by its text alone.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Copies files, links and folders with their modes (folders that are there keep theirs); the answer is the number of files and links. Each file is first written
/// beside its place and then renamed, so that a running program keeps the old one.
fn copy_tree(from: &Path, to: &Path) -> Result<u64, Failure> {
    let failed = |path: &Path, error: io::Error| Failure::at(path, "copy the package to", &error);
    let mut copied = 0;
    let mut folders = vec![(from.to_owned(), to.to_owned())];
    let mut made = Vec::new();
    while let Some((from, to)) = folders.pop() {
        if !to.is_dir() {
            std::fs::create_dir_all(&to).map_err(|error| failed(&to, error))?;
            let mode = from
                .metadata()
                .map_err(|error| failed(&from, error))?
                .permissions();
            made.push((to.clone(), mode));
        }
        for entry in std::fs::read_dir(&from).map_err(|error| failed(&from, error))? {
            let entry = entry.map_err(|error| failed(&from, error))?;
            let kind = entry.file_type().map_err(|error| failed(&entry.path(), error))?;
            let target = to.join(entry.file_name());
            if kind.is_dir() {
                folders.push((entry.path(), target));
                continue;
            }
            let beside = to.join(format!(".copying-{}", uuid::Uuid::new_v4().simple()));
            let put = || -> io::Result<()> {
                if kind.is_symlink() {
                    std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, &beside)?;
                } else {
                    std::fs::copy(entry.path(), &beside)?;
                    let modified = entry.metadata()?.modified()?;
                    let file = File::options().write(true).open(&beside);
                    // The time of a read-only file stays the one of the copy.
                    if let Ok(file) = file {
                        file.set_modified(modified)?;
                    }
                }
                std::fs::rename(&beside, &target)
            };
            put().map_err(|error| {
                std::fs::remove_file(&beside).ok();
                failed(&target, error)
            })?;
            copied += 1;
        }
    }
    // At the end, because there may be no writing into some of them.
    for (folder, mode) in made {
        std::fs::set_permissions(&folder, mode).map_err(|error| failed(&folder, error))?;
    }
    Ok(copied)
}
