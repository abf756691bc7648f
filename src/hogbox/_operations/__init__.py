"""Operations: what commands and admin pages do beside delivery: status, diagnosis, doctor, import, metrics."""
