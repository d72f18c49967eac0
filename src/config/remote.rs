//! One remote: its service, where it is and who we are there, put together from file and environment, secrets
//! included. Which services this build can open is not decided here.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

use super::environment::Environment;
use super::file::{Section, Setting};
use super::refusal::{Place, Refusal};
use super::secret;
use super::units::parse_size;
use crate::secret::Token;

/// The kinds of service that a remote can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// A wiki that runs MediaWiki.
    Mediawiki,
    /// An ONLYOFFICE portal.
    Onlyoffice,
    /// Yandex Wiki.
    YandexWiki,
    /// Files of Yandex Cloud AI Studio.
    YandexCloud,
    /// An object store that speaks S3.
    S3,
    /// A service inside the process, gone when it ends.
    Memory,
}

impl ServiceKind {
    /// All kinds.
    pub const ALL: [ServiceKind; 6] = [
        ServiceKind::Mediawiki,
        ServiceKind::Onlyoffice,
        ServiceKind::YandexWiki,
        ServiceKind::YandexCloud,
        ServiceKind::S3,
        ServiceKind::Memory,
    ];

    /// The word in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            ServiceKind::Mediawiki => "mediawiki",
            ServiceKind::Onlyoffice => "onlyoffice",
            ServiceKind::YandexWiki => "yandex-wiki",
            ServiceKind::YandexCloud => "yandex-cloud",
            ServiceKind::S3 => "s3",
            ServiceKind::Memory => "memory",
        }
    }

    fn parse(setting: &Setting) -> Result<Self, Refusal> {
        let found = ServiceKind::ALL.into_iter().find(|kind| kind.name() == setting.value);
        found.ok_or_else(|| {
            let names = ServiceKind::ALL.map(ServiceKind::name).join(", ");
            let what = format!("there is no service {:?}", setting.value);
            Refusal::new(setting.place.clone(), what, format!("write one of: {names}"))
        })
    }

    /// Whether a setting says something to this kind of service.
    fn knows(self, key: &str) -> bool {
        match key {
            "service" => true,
            "comment" | "text" | "tags" | "maxlag" => self == ServiceKind::Mediawiki,
            "folder" => matches!(self, ServiceKind::Onlyoffice | ServiceKind::YandexWiki | ServiceKind::YandexCloud),
            "chunk_size" => matches!(self, ServiceKind::Onlyoffice | ServiceKind::YandexWiki),
            "org_id" | "cloud_org_id" | "parallel" => self == ServiceKind::YandexWiki,
            "file_max" => matches!(self, ServiceKind::YandexWiki | ServiceKind::YandexCloud),
            "root" | "dialect" | "ttl_days" => self == ServiceKind::YandexCloud,
            "user" | "password_file" => {
                !matches!(self, ServiceKind::Memory | ServiceKind::YandexWiki | ServiceKind::YandexCloud)
            }
            _ => self != ServiceKind::Memory,
        }
    }
}

/// A place to mount, ready to be opened. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The name it is mounted by.
    pub name: String,
    /// The kind of service.
    pub service: ServiceKind,
    /// Where the service was named, for complaints about it.
    pub place: Place,
    /// Where the service is; there for every kind but the one in memory and those that are in one place only.
    pub url: Option<Url>,
    /// The account.
    pub user: Option<String>,
    /// The account's password.
    pub password: Option<SecretString>,
    /// A token instead of account and password. Its file may be written anew while mounted.
    pub token: Option<Arc<Token>>,
    /// The folder of the service that is mounted, where it has folders: of Yandex Wiki the slug of a page, in the cloud the
    /// id of a folder.
    pub folder: Option<String>,
    /// The chunk size of a portal that does not tell it, or that of parts of a file, in bytes.
    pub chunk_size: Option<u64>,
    /// The organisation in Yandex 360.
    pub org_id: Option<String>,
    /// The organisation in Yandex Cloud.
    pub cloud_org_id: Option<String>,
    /// Parts of one file under way at once.
    pub parallel: Option<usize>,
    /// The authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy to go through; its address may hold a password.
    pub proxy: Option<SecretString>,
    /// What a wiki notes about each upload.
    pub comment: Option<String>,
    /// The page text of a new file.
    pub text: Option<String>,
    /// The change tags of each upload to a wiki.
    pub tags: Vec<String>,
    /// The lag in seconds above which nothing is written to a wiki.
    pub maxlag: Option<i64>,
    /// The directory below the folder that is mounted.
    pub root: Option<String>,
    /// In which words a service with several dialects is spoken to.
    pub dialect: Option<String>,
    /// The largest file, in bytes, where the service does not tell it.
    pub file_max: Option<u64>,
    /// How long files are to live, in days, on a service that removes them.
    pub ttl_days: Option<u64>,
}

impl Remote {
    /// Puts the remote `name` together from its `section`, where there is one, and the environment.
    pub(super) fn resolve(name: &str, section: Option<Section>, environment: &Environment) -> Result<Self, Refusal> {
        let settings = Settings { section, environment };
        let service = match settings.get("service", "UPLOADFS_SERVICE")? {
            Some(setting) => setting,
            None if settings.section.is_none() => Setting { value: name.to_owned(), place: Place::BuiltIn },
            None => return Err(settings.missing("service", "service = \"mediawiki\"")),
        };
        let (kind, place) = (ServiceKind::parse(&service)?, service.place);
        settings.refuse_unknown(kind)?;
        let remote = Remote {
            name: name.to_owned(),
            service: kind,
            place,
            url: settings.url()?,
            user: settings.text("user", "UPLOADFS_USER")?,
            password: settings.secret(&PASSWORD)?.map(|password| password.current()),
            token: settings.secret(&TOKEN)?.map(Arc::new),
            folder: settings.text("folder", "UPLOADFS_FOLDER")?,
            chunk_size: settings.size("chunk_size", "UPLOADFS_CHUNK_SIZE")?,
            org_id: settings.text("org_id", "UPLOADFS_ORG_ID")?,
            cloud_org_id: settings.text("cloud_org_id", "UPLOADFS_CLOUD_ORG_ID")?,
            parallel: settings.count("parallel", "UPLOADFS_PARALLEL")?,
            ca_file: settings.get("ca_file", "UPLOADFS_CA_FILE")?.map(|setting| settings.file(&setting)),
            proxy: settings.text("proxy", "UPLOADFS_PROXY")?.map(SecretString::from),
            comment: settings.text("comment", "UPLOADFS_COMMENT")?,
            text: settings.text("text", "UPLOADFS_TEXT")?,
            tags: settings.list("tags", "UPLOADFS_TAGS")?,
            maxlag: settings.seconds("maxlag", "UPLOADFS_MAXLAG")?,
            root: settings.text("root", "UPLOADFS_ROOT")?,
            dialect: settings.text("dialect", "UPLOADFS_DIALECT")?,
            file_max: settings.size("file_max", "UPLOADFS_FILE_MAX")?,
            ttl_days: settings.days("ttl_days", "UPLOADFS_TTL_DAYS")?,
        };
        remote.require(&settings)?;
        Ok(remote)
    }

    /// A remote of which nothing is known but its kind.
    pub fn named(name: &str, service: ServiceKind) -> Remote {
        Remote {
            name: name.to_owned(),
            service,
            place: Place::BuiltIn,
            url: None,
            user: None,
            password: None,
            token: None,
            folder: None,
            chunk_size: None,
            org_id: None,
            cloud_org_id: None,
            parallel: None,
            ca_file: None,
            proxy: None,
            comment: None,
            text: None,
            tags: Vec::new(),
            maxlag: None,
            root: None,
            dialect: None,
            file_max: None,
            ttl_days: None,
        }
    }

    /// What this kind of service cannot do without.
    fn require(&self, settings: &Settings<'_>) -> Result<(), Refusal> {
        let signed_in = self.token.is_some() || (self.user.is_some() && self.password.is_some());
        match self.service {
            ServiceKind::Memory => Ok(()),
            ServiceKind::YandexCloud if self.folder.is_none() => {
                Err(settings.missing("folder", "folder = \"b1g...\", the id of the cloud folder"))
            }
            ServiceKind::YandexCloud if self.token.is_none() => {
                Err(settings.missing("token_file", "token_file = \"/path/of/a/file\" (mode 0600) with an API key"))
            }
            ServiceKind::YandexCloud => Ok(()),
            ServiceKind::YandexWiki if self.token.is_none() => {
                Err(settings.missing("token_file", "token_file = \"/path/of/a/file\" (mode 0600) with an OAuth token"))
            }
            ServiceKind::YandexWiki if self.org_id.is_none() && self.cloud_org_id.is_none() => {
                Err(settings.missing("org_id", "org_id = \"1234567\" (Yandex 360), or cloud_org_id = \"bpf...\""))
            }
            ServiceKind::YandexWiki => Ok(()),
            _ if self.url.is_none() => Err(settings.missing("url", "url = \"https://...\"")),
            ServiceKind::Onlyoffice if !signed_in && self.user.is_none() => {
                Err(settings.missing("user", "user = \"me@example.org\" and password_file = \"/path\", or token_file"))
            }
            ServiceKind::Mediawiki if self.user.is_none() && self.token.is_none() => {
                Err(settings.missing("user", "user = \"Name@bot\" and password_file = \"/path\""))
            }
            _ if !signed_in && self.user.is_some() => {
                Err(settings.missing("password_file", "password_file = \"/path/of/a/file\" (mode 0600)"))
            }
            _ => Ok(()),
        }
    }
}

/// The names under which one secret can be given.
struct SecretNames {
    key: &'static str,
    variable: &'static str,
    file_variable: &'static str,
    credential: &'static str,
}

const PASSWORD: SecretNames = SecretNames {
    key: "password_file",
    variable: "UPLOADFS_PASSWORD",
    file_variable: "UPLOADFS_PASSWORD_FILE",
    credential: "password",
};

const TOKEN: SecretNames = SecretNames {
    key: "token_file",
    variable: "UPLOADFS_TOKEN",
    file_variable: "UPLOADFS_TOKEN_FILE",
    credential: "token",
};

/// Everything that was written about one remote.
struct Settings<'a> {
    section: Option<Section>,
    environment: &'a Environment,
}

impl Settings<'_> {
    /// A setting: the variable if it is set, else what the file says.
    fn get(&self, key: &'static str, variable: &'static str) -> Result<Option<Setting>, Refusal> {
        if let Some(value) = self.environment.text(variable)? {
            return Ok(Some(Setting { value, place: Place::Variable(variable) }));
        }
        Ok(self.section.as_ref().and_then(|section| section.settings.get(key)).cloned())
    }

    fn text(&self, key: &'static str, variable: &'static str) -> Result<Option<String>, Refusal> {
        Ok(self.get(key, variable)?.map(|setting| setting.value))
    }

    /// Words with commas between them.
    fn list(&self, key: &'static str, variable: &'static str) -> Result<Vec<String>, Refusal> {
        let text = self.text(key, variable)?.unwrap_or_default();
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        Ok(words.map(str::to_owned).collect())
    }

    fn seconds(&self, key: &'static str, variable: &'static str) -> Result<Option<i64>, Refusal> {
        let Some(Setting { value, place }) = self.get(key, variable)? else { return Ok(None) };
        match value.parse::<u32>() {
            Ok(seconds) => Ok(Some(seconds.into())),
            Err(_) => Err(Refusal::new(place, format!("{key} is no number of seconds"), format!("write {key} = 5"))),
        }
    }

    fn days(&self, key: &'static str, variable: &'static str) -> Result<Option<u64>, Refusal> {
        let Some(Setting { value, place }) = self.get(key, variable)? else { return Ok(None) };
        match value.parse::<u32>() {
            Ok(days) if days > 0 => Ok(Some(days.into())),
            _ => Err(Refusal::new(place, format!("{key} is no number of days"), format!("write {key} = 60"))),
        }
    }

    fn count(&self, key: &'static str, variable: &'static str) -> Result<Option<usize>, Refusal> {
        let Some(Setting { value, place }) = self.get(key, variable)? else { return Ok(None) };
        match value.parse::<u8>() {
            Ok(count) if count > 0 => Ok(Some(count.into())),
            _ => Err(Refusal::new(place, format!("{key} is no number from 1 to 255"), format!("write {key} = 4"))),
        }
    }

    fn size(&self, key: &'static str, variable: &'static str) -> Result<Option<u64>, Refusal> {
        let Some(Setting { value, place }) = self.get(key, variable)? else { return Ok(None) };
        match parse_size(&value) {
            Ok(bytes) if bytes > 0 => Ok(Some(bytes)),
            _ => Err(Refusal::new(place, format!("{key} is no size"), format!("write {key} = \"10M\""))),
        }
    }

    fn url(&self) -> Result<Option<Url>, Refusal> {
        let Some(Setting { value, place }) = self.get("url", "UPLOADFS_URL")? else { return Ok(None) };
        // The text is not repeated: it may hold a password.
        let refuse = |what: &str, instead: &str| Err(Refusal::new(place.clone(), what, instead));
        let url = match Url::parse(&value) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            _ => return refuse("the address is not a web address", "write url = \"https://...\""),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("the address holds a user name or password", "use user and password_file for them");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("the address has a query or a fragment", "leave out everything from '?' or '#' on");
        }
        Ok(Some(url))
    }

    /// A secret: the variable that holds it, the file that a variable names, the file that the configuration names, or
    /// what systemd handed over.
    fn secret(&self, names: &SecretNames) -> Result<Option<Token>, Refusal> {
        if let Some(text) = self.environment.text(names.variable)? {
            return secret::from_variable(names.variable, text).map(Some);
        }
        if let Some(setting) = self.get(names.key, names.file_variable)? {
            return secret::from_file(self.file(&setting), &setting.place).map(Some);
        }
        let credential = self.environment.path("CREDENTIALS_DIRECTORY").map(|folder| folder.join(names.credential));
        match credential.filter(|path| path.exists()) {
            Some(path) => secret::from_credential(path).map(Some),
            None => Ok(None),
        }
    }

    /// The file that a setting names: `~/` is the home directory, relative paths begin beside the configuration.
    fn file(&self, setting: &Setting) -> PathBuf {
        let path = self.environment.expand(&setting.value);
        match (&setting.place, &self.section) {
            (Place::File(..), Some(section)) => section.folder.join(path),
            _ => path,
        }
    }

    /// A key in the file that says nothing to the service is a mistake; a variable may be meant for another remote.
    fn refuse_unknown(&self, kind: ServiceKind) -> Result<(), Refusal> {
        let written = self.section.iter().flat_map(|section| &section.settings);
        match written.into_iter().find(|(key, _)| !kind.knows(key)) {
            Some((key, setting)) => {
                let what = format!("{key} says nothing to the service {}", kind.name());
                Err(Refusal::new(setting.place.clone(), what, "leave the line out"))
            }
            None => Ok(()),
        }
    }

    fn missing(&self, key: &str, example: &str) -> Refusal {
        let place = self.section.as_ref().map_or(Place::Variable("UPLOADFS_SERVICE"), |section| section.place.clone());
        let variable = key.to_uppercase();
        Refusal::new(place, format!("{key} is missing"), format!("write {example}, or set UPLOADFS_{variable}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use secrecy::ExposeSecret;

    use super::super::Sources;
    use super::*;

    const WIKI: &str = "[w]\nservice = \"mediawiki\"\nurl = \"https://wiki.example/w/api.php\"\nuser = \"Me@bot\"\n";

    /// A folder with a configuration and a password.
    fn folder(config: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("password"), "geheim\n", 0o600);
        write(&folder.path().join("config.toml"), config, 0o644);
        folder
    }

    fn write(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn remote(folder: &tempfile::TempDir, variables: &[(&str, &str)]) -> Result<Remote, Refusal> {
        let environment = Environment::of(variables.iter().copied());
        Sources::new(Some(folder.path().join("config.toml")), environment).remote("w")
    }

    fn refusal(config: &str) -> String {
        remote(&folder(config), &[]).unwrap_err().to_string()
    }

    #[test]
    fn a_wiki_with_everything() {
        let config = format!(
            "{WIKI}password_file = \"password\"\ncomment = \"c\"\ntags = [\"one\", \"two\"]\nmaxlag = 5\nca_file = \"~/ca.pem\"\n"
        );
        let folder = folder(&config);
        let remote = remote(&folder, &[("HOME", "/home/me")]).unwrap();
        assert_eq!(remote.url.as_ref().unwrap().as_str(), "https://wiki.example/w/api.php");
        assert_eq!(remote.password.as_ref().unwrap().expose_secret(), "geheim");
        assert_eq!(remote.ca_file.as_deref(), Some(Path::new("/home/me/ca.pem")));
        assert_eq!((remote.user.as_deref(), remote.comment.as_deref()), (Some("Me@bot"), Some("c")));
        assert_eq!((remote.tags.clone(), remote.maxlag), (vec!["one".to_owned(), "two".to_owned()], Some(5)));
        assert!(!format!("{remote:?}").contains("geheim"));
    }

    #[test]
    fn each_refusal_names_its_line_and_what_to_write() {
        let password = "password_file = \"password\"\n";
        for (config, line, about) in [
            ("[w]\nurl = \"https://x/\"\n".to_owned(), 1, "service is missing; write service = \"mediawiki\""),
            (
                "[w]\nservice = \"wiki\"\n".to_owned(),
                2,
                "there is no service \"wiki\"; write one of: mediawiki, onlyoffice",
            ),
            (
                "\n[w]\nservice = \"mediawiki\"\n".to_owned(),
                2,
                "url is missing; write url = \"https://...\", or set UPLOADFS_URL",
            ),
            ("[w]\nservice = \"mediawiki\"\nurl = \"https://x/\"\n".to_owned(), 1, "user is missing"),
            (format!("{WIKI}maxlag = -1\n"), 5, "invalid value"),
            (format!("{WIKI}tags = \"one\"\n"), 5, "invalid type"),
            (WIKI.to_owned(), 1, "password_file is missing"),
            (format!("{WIKI}password_file = \"nothing\"\n"), 5, "cannot be read"),
            (WIKI.replace("https://wiki", "wiki") + password, 3, "not a web address"),
            (WIKI.replace("https", "ftp") + password, 3, "not a web address"),
            (WIKI.replace("https://", "https://me:geheim@") + password, 3, "holds a user name or password"),
            (WIKI.replace("api.php", "api.php?x=geheim") + password, 3, "has a query"),
            (
                "[w]\nservice = \"memory\"\nurl = \"https://x/\"\n".to_owned(),
                3,
                "url says nothing to the service memory",
            ),
            ("[w]\nservice = \"s3\"\ntext = \"x\"\n".to_owned(), 3, "text says nothing to the service s3"),
            ("[w]\nservice = \"yandex-cloud\"\nuser = \"x\"\n".to_owned(), 3, "user says nothing to the service"),
            ("[w]\nservice = \"yandex-cloud\"\n".to_owned(), 1, "folder is missing; write folder = \"b1g"),
            ("[w]\nservice = \"yandex-cloud\"\nfolder = \"b1g\"\n".to_owned(), 1, "token_file is missing"),
            ("[w]\nservice = \"yandex-cloud\"\nttl_days = 0\n".to_owned(), 3, "ttl_days is no number of days"),
            ("[w]\nservice = \"yandex-cloud\"\nfile_max = \"x\"\n".to_owned(), 3, "file_max is no size"),
            ("[w]\nservice = \"yandex-wiki\"\n".to_owned(), 1, "token_file is missing"),
            ("[w]\nservice = \"yandex-wiki\"\npassword_file = \"x\"\n".to_owned(), 3, "password_file says nothing"),
            (
                "[w]\nservice = \"yandex-wiki\"\ntoken_file = \"password\"\n".to_owned(),
                1,
                "org_id is missing; write org_id = \"1234567\" (Yandex 360), or cloud_org_id",
            ),
            ("[w]\nservice = \"yandex-wiki\"\nparallel = 0\n".to_owned(), 3, "parallel is no number from 1 to 255"),
            (format!("{WIKI}dialect = \"native\"\n"), 5, "dialect says nothing to the service mediawiki"),
        ] {
            let text = refusal(&config);
            assert!(text.contains(&format!("config.toml:{line}: ")) && text.contains(about), "{config}: {text}");
            assert!(!text.contains("geheim"), "{text}");
        }
    }

    #[test]
    fn a_password_that_others_can_read_is_refused() {
        let folder = folder(&format!("{WIKI}password_file = \"password\"\n"));
        write(&folder.path().join("password"), "geheim", 0o644);
        let text = remote(&folder, &[]).unwrap_err().to_string();
        assert!(text.contains("config.toml:5") && text.contains("/password") && text.contains("0644"), "{text}");
    }

    #[test]
    fn environment_counts_over_file_and_systemd_comes_last() {
        let folder = folder(WIKI);
        let here = folder.path().to_str().unwrap();
        let password = |variables: &[(&str, &str)]| {
            remote(&folder, variables).map(|remote| remote.password.unwrap().expose_secret().to_owned())
        };
        let file = format!("{here}/password");
        assert_eq!(password(&[("CREDENTIALS_DIRECTORY", here)]).unwrap(), "geheim");
        assert_eq!(password(&[("UPLOADFS_PASSWORD_FILE", &file)]).unwrap(), "geheim");
        let all = [("UPLOADFS_PASSWORD", "direct"), ("UPLOADFS_PASSWORD_FILE", &file), ("CREDENTIALS_DIRECTORY", here)];
        assert_eq!(password(&all).unwrap(), "direct");
        let other = remote(&folder, &[("UPLOADFS_USER", "Other"), ("UPLOADFS_PASSWORD", "x")]).unwrap();
        assert_eq!(other.user.as_deref(), Some("Other"));
        let bad = remote(&folder, &[("UPLOADFS_URL", "nowhere")]).unwrap_err().to_string();
        assert!(bad.starts_with("UPLOADFS_URL: "), "{bad}");
    }

    #[test]
    fn a_token_needs_no_account() {
        let config = "[w]\nservice = \"mediawiki\"\nurl = \"https://x/\"\ntoken_file = \"password\"\n";
        assert_eq!(remote(&folder(config), &[]).unwrap().token.unwrap().current().expose_secret(), "geheim");
    }

    #[test]
    fn a_variable_that_means_nothing_to_the_service_is_for_another_one() {
        let folder = folder("[w]\nservice = \"memory\"\n");
        assert!(remote(&folder, &[("UPLOADFS_COMMENT", "x")]).is_ok());
    }
}
