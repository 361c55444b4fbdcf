//! XML answers, built as a tree.

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

/// An element: a name, and text or children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    name: String,
    namespace: Option<&'static str>,
    text: Option<String>,
    children: Vec<Element>,
}

impl Element {
    /// An element without content.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: None,
            text: None,
            children: Vec::new(),
        }
    }

    /// An element with text.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "callers pass values and references alike"
    )]
    pub fn text(name: impl Into<String>, text: impl ToString) -> Self {
        Self {
            text: Some(text.to_string()),
            ..Self::new(name)
        }
    }

    /// A list as EC2 writes it: `<name><item>…</item>…</name>`; for IAM use `member`.
    pub fn list(
        name: impl Into<String>,
        item: &str,
        items: impl IntoIterator<Item = Vec<Self>>,
    ) -> Self {
        Self::new(name).children(
            items
                .into_iter()
                .map(|children| Self::new(item).children(children)),
        )
    }

    /// Adds a namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Adds a child.
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// Adds children.
    #[must_use]
    pub fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// The document as text, with its declaration.
    #[must_use]
    pub fn to_document(&self) -> String {
        let mut writer = Writer::new(Vec::new());
        // Writing to memory cannot fail.
        let _ = self.write(&mut writer);
        let body = String::from_utf8(writer.into_inner()).unwrap_or_default();
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}")
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let mut start = BytesStart::new(self.name.as_str());
        if let Some(namespace) = self.namespace {
            start.push_attribute(("xmlns", namespace));
        }
        writer.write_event(Event::Start(start))?;
        if let Some(text) = &self.text {
            writer.write_event(Event::Text(BytesText::new(text)))?;
        }
        for child in &self.children {
            child.write(writer)?;
        }
        writer.write_event(Event::End(BytesEnd::new(self.name.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let document = Element::new("a")
            .child(Element::text("b", "x<y"))
            .to_document();
        assert!(document.ends_with("<a><b>x&lt;y</b></a>"), "{document}");
    }
}
