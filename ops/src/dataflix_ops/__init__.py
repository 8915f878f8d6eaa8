"""Operations on a stack: doctor, backup, restore and key rotation."""
