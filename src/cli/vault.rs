//! `vault`: looking up secrets.

use super::args::{VaultArgs, VaultCommand, VaultGetArgs};
use super::say::Say;
use super::{Error, Outcome, config};
use crate::server;

pub(super) fn vault(say: &Say, args: &VaultArgs) -> Outcome {
    match &args.command {
        VaultCommand::Get(args) => get(say, args),
    }
}

/// Prints the secret and nothing else.
fn get(say: &Say, args: &VaultGetArgs) -> Outcome {
    let Some(reference) = &args.reference else {
        let message = "the 'get' command needs a <reference> argument \nmoongate vault get <reference>";
        return Err(Error::Message(message.to_owned()));
    };
    let settings = config::settings(&say.quiet(), &args.conf, &args.place, None)?;
    println!("{}", server::vault_get(&settings, reference)?);
    Ok(0)
}
