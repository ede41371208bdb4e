"""What a program is made of, how much goes through each part, and which parts a gradient lacks or holds too often."""
