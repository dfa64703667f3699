"""Measurements that cost more than a look: of package mirrors here, of links between nodes elsewhere."""
