"""What the services say of themselves: metrics, traces and logs. Who measures knows nothing of who listens."""
