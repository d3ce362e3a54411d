// Placeholder until the generated code lands.
typedef int convoy_messages_placeholder;
