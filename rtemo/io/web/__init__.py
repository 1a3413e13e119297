"""Web: events, states, metrics and the wall over HTTP and WebSocket, by Starlette and uvicorn in a process apart."""
