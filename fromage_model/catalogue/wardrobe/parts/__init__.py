"""What garments share: torso, sleeves, necks and collars, fastenings, pockets, legs, soles. Knows no kinds."""
