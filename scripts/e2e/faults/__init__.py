"""Real faults of the network, of Azure, of Entra and of the process, created in separate namespaces."""
