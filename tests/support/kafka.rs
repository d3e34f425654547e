//! A real Apache Kafka broker: one node that is its own controller (KRaft), with a listener without and one with a login.

use super::process::{Server, Start, run_to_end};
use super::{fetched, free_port, program, wait_for};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use rustix::process::Signal;
use std::fs;
use std::future::Future;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The account of [`Kafka::sasl_bootstrap`].
pub const LOGIN: (&str, &str) = ("tokenwatch", "kafka-secret");

/// A running broker; gone when dropped.
pub struct Kafka {
    server: Option<Server>,
    folder: TempDir,
    /// `127.0.0.1:port` of the listener that lets everybody in.
    pub bootstrap: String,
    /// The listener that wants a login by SASL (PLAIN, SCRAM-SHA-256), without TLS.
    pub sasl_bootstrap: String,
}

impl Kafka {
    /// Starts a broker with empty logs; panics if its jars are not there.
    pub fn start() -> Kafka {
        let folder = tempfile::Builder::new().prefix("tokenwatch-kafka-").tempdir().expect("a temporary folder");
        let (open, sasl, controller) = (free_port(), free_port(), free_port());
        let logs = folder.path().join("logs");
        let (user, password) = LOGIN;
        let settings = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=OPEN://127.0.0.1:{open},LOGIN://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=OPEN://127.0.0.1:{open},LOGIN://127.0.0.1:{sasl}\n\
             listener.security.protocol.map=OPEN:PLAINTEXT,LOGIN:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=OPEN\n\
             sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256\n\
             listener.name.login.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}=\"{password}\";\n\
             listener.name.login.scram-sha-256.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             log.dirs={}\n\
             auto.create.topics.enable=false\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             num.network.threads=2\n\
             num.io.threads=2\n\
             log.cleaner.enable=false\n",
            logs.display()
        );
        fs::write(folder.path().join("server.properties"), settings).expect("our own folder");
        let mut format = Command::new(java());
        format.args(arguments(&["kafka.tools.StorageTool", "format", "--cluster-id", "AAAAAAAAAAAAAAAAAAAAAA", "--config"]));
        format.arg(folder.path().join("server.properties"));
        format.args(["--add-scram", &format!("SCRAM-SHA-256=[name={user},password={password}]")]);
        run_to_end("formatting the broker's storage", format);

        let mut kafka = Kafka { server: None, folder, bootstrap: format!("127.0.0.1:{open}"), sasl_bootstrap: format!("127.0.0.1:{sasl}") };
        kafka.resume();
        kafka
    }

    /// Stops the broker; its logs stay.
    pub fn halt(&mut self) {
        self.server = None;
    }

    /// Starts the broker again, on the same ports with the same logs.
    pub fn resume(&mut self) {
        let mut args = arguments(&["-Xmx384m", "kafka.Kafka"]);
        args.push(self.folder.path().join("server.properties").display().to_string());
        let output = self.folder.path().join("output");
        let start = Start { name: "Kafka", program: &java(), args, user: None, stop: Signal::TERM, output };
        let mut server = Server::start(start);
        let address = self.bootstrap.clone();
        server.wait_ready(|| TcpStream::connect(&address).ok());
        let probe = self.producer();
        server.wait_ready(|| {
            let found = probe.client().fetch_metadata(None, Duration::from_secs(1)).ok()?;
            (!found.brokers().is_empty()).then_some(())
        });
        self.server = Some(server);
    }

    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("a running broker").pid()
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.bootstrap);
        client
    }

    pub fn producer(&self) -> BaseProducer {
        self.client().set("linger.ms", "1").create().expect("a producer")
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }

    /// Makes a topic.
    pub fn create(&self, topic: &str, partitions: i32) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for result in wait(self.admin().create_topics([&new], &AdminOptions::new())).expect("an answer") {
            result.unwrap_or_else(|(topic, error)| panic!("{topic}: {error}"));
        }
        let producer = self.producer();
        wait_for("the topic's leader", Duration::from_secs(10), || {
            let found = producer.client().fetch_metadata(Some(topic), Duration::from_secs(1)).ok()?;
            let leaders = found.topics().first()?.partitions().iter().filter(|p| p.leader() >= 0).count();
            (leaders == usize::try_from(partitions).ok()?).then_some(())
        });
    }

    pub fn delete(&self, topic: &str) {
        wait(self.admin().delete_topics(&[topic], &AdminOptions::new())).expect("an answer");
    }

    /// Writes messages to one partition and waits until the broker has them. `None` is a message without a payload.
    pub fn produce<'a>(&self, topic: &str, partition: i32, messages: impl IntoIterator<Item = Option<&'a str>>) {
        let producer = self.producer();
        for message in messages {
            let mut record = BaseRecord::<str, str>::to(topic).partition(partition).key("key");
            record.payload = message;
            while let Err((_, back)) = producer.send(record) {
                record = back;
                producer.poll(Duration::from_millis(10));
            }
        }
        producer.flush(Duration::from_secs(20)).expect("the broker takes what we send");
    }

    /// Deletes all messages before `offset`, as retention would.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("an offset");
        wait(self.admin().delete_records(&list, &AdminOptions::new())).expect("the broker deletes");
    }

    /// The offset that a group has committed.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        use rdkafka::consumer::{BaseConsumer, Consumer};
        let consumer: BaseConsumer = self.client().set("group.id", group).create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let found = consumer.committed_offsets(list, Duration::from_secs(5)).ok()?;
        found.find_partition(topic, partition)?.offset().to_raw().filter(|offset| *offset >= 0)
    }
}

/// Waits for an answer of the admin client.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(answer)
}

fn java() -> PathBuf {
    program("java").expect("Java is missing: install default-jre-headless, or run tests/run")
}

fn arguments(last: &[&str]) -> Vec<String> {
    let jars = fetched("TOKENWATCH_KAFKA_JARS", "kafka-jars");
    assert!(
        jars.is_dir(),
        "no jars of Apache Kafka in {}: run tests/run, or: mvn -q -f tests/kafka/pom.xml dependency:copy-dependencies \
         -DoutputDirectory=\"$PWD/target/kafka-jars\"",
        jars.display()
    );
    let mut args = vec!["-cp".to_owned(), format!("{}/*", jars.display())];
    args.extend(last.iter().map(|&argument| argument.to_owned()));
    args
}

/// What of Kafka is missing here.
pub fn missing() -> Option<String> {
    let jars = fetched("TOKENWATCH_KAFKA_JARS", "kafka-jars");
    let empty = fs::read_dir(&jars).map_or(true, |mut files| files.next().is_none());
    if empty {
        Some(format!("Apache Kafka: no jars in {}", jars.display()))
    } else {
        super::process::missing_programs(&["java"], "default-jre-headless")
    }
}
