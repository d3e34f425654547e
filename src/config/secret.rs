//! Secrets read from files or systemd credentials; never shown.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A secret's text. Its `Debug` shows nothing.
pub type Secret = secrecy::SecretString;

/// No key or password is longer.
const MAX_BYTES: u64 = 64 * 1024;

/// Where secrets may lie.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The folder of the configuration file.
    pub dir: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`, where systemd puts what `LoadCredential=` names.
    pub credentials: Option<PathBuf>,
}

impl Places {
    /// Beside the configuration file, and in the credentials that systemd handed to this process.
    pub fn beside(dir: &Path) -> Self {
        Places { dir: dir.to_owned(), credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from) }
    }

    /// Reads the secret that a `*_file` key names: a path relative to the configuration file; where no such file is, the
    /// systemd credential of that name; `credential:NAME` means the credential only. One final newline is trimmed.
    ///
    /// A file that every user of the host may read or write is refused. The error never holds any of the content.
    pub fn read(&self, value: &str) -> Result<Secret, String> {
        let path = self.find(value)?;
        let shown = path.display();
        let failed = |e: std::io::Error| {
            let advice = match e.kind() {
                std::io::ErrorKind::NotFound => "; put the secret into it, readable only by the daemon's user (chmod 0600)",
                std::io::ErrorKind::PermissionDenied => "; let the user that runs tokenwatch read it, and nobody else",
                _ => "",
            };
            format!("cannot read secret {shown}: {e}{advice}")
        };
        // Looked at before it is opened: opening a pipe would wait for a writer.
        if !std::fs::metadata(&path).map_err(failed)?.is_file() {
            return Err(format!("secret {shown} is not a file"));
        }
        let file = std::fs::File::open(&path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & 0o006 != 0 {
            return Err(format!(
                "secret {shown} is open to every user of this host (mode {:04o}); run: chmod o-rwx {shown}",
                mode & 0o7777
            ));
        }
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(format!("secret {shown} is larger than {} KiB; is this the right file?", MAX_BYTES >> 10));
        }
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        match text.is_empty() {
            true => Err(format!("secret {shown} is empty")),
            false => Ok(Secret::from(text)),
        }
    }

    fn find(&self, value: &str) -> Result<PathBuf, String> {
        if value.is_empty() {
            return Err("names no file".to_owned());
        }
        if let Some(name) = value.strip_prefix("credential:") {
            let folder = self.credentials.as_ref().ok_or_else(|| {
                format!(
                    "credential \"{name}\" is not there: systemd gave this process no credentials; \
                     add LoadCredential={name}:/path to the unit"
                )
            })?;
            if name.is_empty() || name.contains('/') || name == ".." {
                return Err(format!("\"{name}\" is not the name of a systemd credential"));
            }
            return Ok(folder.join(name));
        }
        let path = self.dir.join(value);
        if !path.exists()
            && !value.contains('/')
            && let Some(credential) = self.credentials.as_ref().map(|folder| folder.join(value))
            && credential.exists()
        {
            return Ok(credential);
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn write(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn reads_a_private_file_and_trims_one_newline() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("key"), "s3cret\n\n", 0o600);
        let places = Places { dir: dir.path().to_owned(), credentials: None };
        let secret = places.read("key").unwrap();
        assert_eq!(secret.expose_secret(), "s3cret\n");
        assert!(!format!("{secret:?}").contains("s3cret"));
    }

    #[test]
    fn refuses_what_others_may_read_and_says_how_to_mend_it() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("key"), "s3cret", 0o644);
        let places = Places { dir: dir.path().to_owned(), credentials: None };
        let error = places.read("key").unwrap_err();
        assert!(error.contains("chmod o-rwx") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn falls_back_to_systemd_credentials() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = tempfile::tempdir().unwrap();
        write(&credentials.path().join("soc.key"), "from systemd", 0o400);
        let places = Places { dir: dir.path().to_owned(), credentials: Some(credentials.path().to_owned()) };
        assert_eq!(places.read("soc.key").unwrap().expose_secret(), "from systemd");
        assert_eq!(places.read("credential:soc.key").unwrap().expose_secret(), "from systemd");
        assert!(places.read("credential:../x").is_err());
        assert!(places.read("other.key").unwrap_err().contains("other.key"));
        let without = Places { dir: dir.path().to_owned(), credentials: None };
        assert!(without.read("credential:soc.key").unwrap_err().contains("LoadCredential=soc.key"));
    }

    #[test]
    fn empty_folders_and_missing_files_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("empty"), "\n", 0o600);
        let places = Places { dir: dir.path().to_owned(), credentials: None };
        assert!(places.read("empty").unwrap_err().ends_with("is empty"));
        assert!(places.read(".").unwrap_err().ends_with("is not a file"));
        assert!(places.read("").is_err());
    }
}
