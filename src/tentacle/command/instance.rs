//! `create-instance`, `delete-instance`, `list-instances`.

use std::fs;

use serde_json::json;

use super::{CONFIG, Command, Context, FORMAT, INSTANCE, INSTANCE_OPTIONS, is_json, pretty};
use crate::command_line::{OptionRow, Options};
use crate::configuration::HOME;
use crate::durable_file;
use crate::failure::Failure;
use crate::instance::{DEFAULT_FILE, DEFAULT_NAME, Instance, check_name};
use crate::settings_file::SettingsFile;

pub(super) const CREATE: Command = Command {
    names: &["create-instance"],
    meaning: "Make an instance with a settings file of its own",
    options: &[&[
        INSTANCE,
        CONFIG,
        OptionRow::value(&["home"], "home folder; that of the settings file unless given"),
    ]],
    run: create,
};

pub(super) const DELETE: Command = Command {
    names: &["delete-instance"],
    meaning: "Remove an instance from the index; its files stay",
    options: &[INSTANCE_OPTIONS],
    run: delete,
};

pub(super) const LIST: Command = Command {
    names: &["list-instances"],
    meaning: "List the instances of this machine",
    options: &[&[FORMAT]],
    run: list,
};

fn create(context: &Context, options: &Options) -> Result<(), Failure> {
    let current = &context.surroundings.current_folder;
    // a name that is given and blank makes a settings file alone
    let is_bare = options
        .last("instance")
        .is_some_and(|name| name.trim().is_empty());
    let name = options.text("instance").unwrap_or(DEFAULT_NAME).trim();
    check_name(name)?;
    let home = options.path("home", current);
    let file = options
        .path("config", current)
        .unwrap_or_else(|| home.as_ref().unwrap_or(current).join(DEFAULT_FILE));
    let index = context.index();
    let known = index.find(name);
    if let Some(known) = known
        .as_ref()
        .filter(|known| !is_bare && known.configuration_file_path != file)
    {
        return Err(Failure::controlled(format!(
            "The instance {} exists already, with the settings file '{}'. Give that file, another name, or run \
             delete-instance first.",
            known.name,
            known.configuration_file_path.display()
        )));
    }
    let mut settings = if file.is_file() {
        context.output.info(&format!(
            "Configuration file at {} already exists.",
            file.display()
        ));
        SettingsFile::load(&file)?
    } else {
        context
            .output
            .info(&format!("Creating empty configuration file: {}", file.display()));
        SettingsFile::empty(&file)
    };
    let folder = durable_file::folder_of(&file);
    let kept = settings.get(HOME).map(|kept| folder.join(kept));
    let home = home.or(kept).unwrap_or_else(|| folder.to_owned());
    fs::create_dir_all(folder).map_err(|error| Failure::of_file("make the folder", folder, &error))?;
    settings.set(HOME, Some(home.display().to_string()));
    settings.save()?;
    let name = known.map_or_else(|| name.to_owned(), |known| known.name);
    if !is_bare {
        context.output.info(&format!("Saving instance: {name}"));
        index.put(&Instance {
            name,
            configuration_file_path: file,
        })?;
    }
    context
        .output
        .info(&format!("Setting home directory to: {}", home.display()));
    Ok(())
}

fn delete(context: &Context, options: &Options) -> Result<(), Failure> {
    let index = context.index();
    // an entry whose file is gone can be removed by its name
    let named = options.text("instance").and_then(|name| index.find(name));
    let instance = match named {
        Some(instance) => instance,
        None => {
            let selected = index.select(options, &context.surroundings)?;
            selected.name.and_then(|name| index.find(&name)).ok_or_else(|| {
                Failure::controlled(format!(
                    "No instance uses the settings file '{}'.",
                    selected.file.display()
                ))
            })?
        }
    };
    index.remove(&instance)?;
    context
        .output
        .info(&format!("Deleted instance: {}", instance.name));
    Ok(())
}

fn list(context: &Context, options: &Options) -> Result<(), Failure> {
    let all = context.index().all();
    if is_json(options)? {
        let list: Vec<_> = all
            .iter()
            .map(|one| json!({ "InstanceName": one.name, "ConfigurationFilePath": one.configuration_file_path }))
            .collect();
        context.output.answer(&pretty(&list));
    } else if all.is_empty() {
        context.output.answer("No instances installed");
    } else {
        for one in all {
            context.output.info(&format!(
                "Instance '{}' uses configuration '{}'.",
                one.name,
                one.configuration_file_path.display()
            ));
        }
    }
    Ok(())
}
