//! Mail over SMTP: a multipart message with plain text and HTML, under a `Message-ID` that stays the same over all tries.

use std::time::Duration;

use lettre::message::{Mailbox, MultiPart, header};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;

use super::{Delivery, Message, Receipt, SendError, delivery_key, text};
use crate::config::{self, MailTls};

/// One relay with the sender and the recipients.
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// Host and port, for messages.
    shown: String,
    timeout: Duration,
}

impl Email {
    /// # Errors
    /// An address or the CA file cannot be used.
    pub fn new(config: &config::Email, timeout: Duration) -> Result<Email, String> {
        let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|e| format!("\"{}\" is not a mail address: {e}", text::clean(text)));
        let tls = match config.tls {
            MailTls::None => Tls::None,
            MailTls::Starttls => Tls::Required(parameters(config)?),
            MailTls::Implicit => Tls::Wrapper(parameters(config)?),
        };
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host).port(config.port).tls(tls).timeout(Some(timeout));
        if let (Some(user), Some(password)) = (&config.username, &config.password) {
            builder = builder
                .credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()))
                .authentication(vec![Mechanism::Plain, Mechanism::Login]);
        }
        Ok(Email {
            transport: builder.build(),
            from: mailbox(&config.from)?,
            to: config.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            shown: format!("{}:{}", config.host, config.port),
            timeout,
        })
    }

    pub async fn send(&self, delivery: &Delivery, message: &Message) -> Result<Receipt, SendError> {
        let mail = self.compose(delivery, message).map_err(|e| SendError::permanent(format!("the mail cannot be composed: {e}")))?;
        // The library's own limit covers the connecting only.
        let Ok(sent) = tokio::time::timeout(self.timeout, self.transport.send(mail)).await else {
            return Err(SendError::retry(format!("mail relay {}: no answer within {:?}", self.shown, self.timeout)));
        };
        match sent {
            Ok(response) => {
                Ok(Receipt { status: None, detail: text::cut(&text::clean(&response.message().collect::<Vec<_>>().join(" ")), 200) })
            }
            Err(error) => Err(self.failure(&error)),
        }
    }

    fn compose(&self, delivery: &Delivery, message: &Message) -> Result<lettre::Message, lettre::error::Error> {
        let letter = text::letter(message);
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .subject(&letter.subject)
            .message_id(Some(self.message_id(&delivery.key)))
            // Vacation replies to a machine help nobody.
            .raw_header(header::HeaderValue::new(header::HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        // A mail reader shows an escalation below the alert that it continues.
        if let Message::Alert { alert, .. } = message
            && alert.revision > 0
        {
            let first = self.message_id(&delivery_key(&alert.id, 0, &delivery.destination));
            mail = mail.in_reply_to(first.clone()).references(first);
        }
        mail.multipart(MultiPart::alternative_plain_html(letter.plain(), letter.html()))
    }

    fn message_id(&self, key: &str) -> String {
        format!("<{key}@{}>", self.from.email.domain())
    }

    fn failure(&self, error: &lettre::transport::smtp::Error) -> SendError {
        let mut message = format!("mail relay {}: {error}", self.shown);
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            if !message.contains(&inner_text) {
                message.push_str(": ");
                message.push_str(&inner_text);
            }
            cause = inner.source();
        }
        let message = text::cut(&text::clean(&message), 300);
        // 550 to 554 judge this mail or its recipients. Other refusals (530 and 535, wrong password) judge us, and end when the
        // configuration or the relay is mended.
        match error.status().map(|code| code.to_string().parse::<u16>()) {
            Some(Ok(550..=554)) => SendError::permanent(message),
            _ => SendError::retry(message),
        }
    }
}

fn parameters(config: &config::Email) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        let failed = |e: &dyn std::fmt::Display| format!("ca_file {}: {e}", path.display());
        let pem = std::fs::read(path).map_err(|e| failed(&e))?;
        let certificates = Certificate::from_pem(&pem).map_err(|e| failed(&e))?;
        builder = builder.add_root_certificate(certificates);
    }
    builder.build().map_err(|e| format!("TLS cannot be used: {e}"))
}
