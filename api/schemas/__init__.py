"""What calls take and answer, as models: the contract that the OpenAPI text is made from."""
