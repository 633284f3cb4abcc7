demo llm
